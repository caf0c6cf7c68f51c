package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"doppel/internal/image/aptest"
	"doppel/internal/image/store"
	"doppel/internal/image/tree"
)

// debian is a tiny archive with all that a build takes: scripts and configuration files, a kernel without modules.
func debian(t testing.TB) *aptest.Repo {
	dir := func(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o755} }
	reg := func(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o755} }
	packages := []aptest.Package{
		{Name: "base-files", Version: "1", Fields: "Essential: yes\n",
			Files: []tar.Header{dir("./"), dir("./usr/"), dir("./usr/bin/"), {Name: "./bin", Typeflag: tar.TypeSymlink, Linkname: "usr/bin"},
				{Name: "./tmp/", Typeflag: tar.TypeDir, Mode: 0o1777}, reg("./etc/issue")},
			Contents: map[string]string{"./etc/issue": "hello\n"},
			Scripts:  map[string]string{"conffiles": "/etc/issue\n", "postinst": "#!/bin/sh\n", "triggers": "interest-noawait /usr/share/x\ninterest rebuild\n"}},
		{Name: "libc6", Version: "2", Fields: "Multi-Arch: same\n", Files: []tar.Header{dir("./lib/"), reg("./lib/libc.so")},
			Contents: map[string]string{"./lib/libc.so": "elf"}},
		{Name: "linux-image-riscv64", Version: "6", Fields: "Depends: linux-image-6.1-riscv64\n"},
		{Name: "linux-image-6.1-riscv64", Version: "6", Files: []tar.Header{reg("./boot/vmlinuz-6.1-riscv64"), dir("./usr/lib/modules/6.1-riscv64/")},
			Contents: map[string]string{"./boot/vmlinuz-6.1-riscv64": "kernel"}},
		{Name: "busybox-static", Version: "1", Files: []tar.Header{reg("./usr/bin/busybox")}, Contents: map[string]string{"./usr/bin/busybox": "busybox"}},
	}
	for _, name := range basePackages {
		packages = append(packages, aptest.Package{Name: name, Version: "1", Fields: "Depends: libc6 (>= 2)\n"})
	}
	return aptest.New(t, packages...)
}

func options(t testing.TB, r *aptest.Repo) BuildOptions {
	t.Helper()
	s, err := store.Open(filepath.Join(t.TempDir(), "images"))
	if err != nil {
		t.Fatal(err)
	}
	return BuildOptions{Store: s, CacheDir: t.TempDir(), Mirror: r.URL, Keyrings: []string{r.Keyring}, Size: 64 << 20}
}

// debugfs reads a file of a disk; a skip names what is missing.
func debugfs(t testing.TB, disk, request string) string {
	t.Helper()
	for _, tool := range []string{"debugfs", "/usr/sbin/debugfs", "/sbin/debugfs"} {
		if path, err := exec.LookPath(tool); err == nil {
			out, err := exec.Command(path, "-R", request, disk).Output()
			if err != nil {
				t.Fatal(err)
			}
			return string(out)
		}
	}
	t.Skip("debugfs is missing: install e2fsprogs")
	return ""
}

func TestBuild(t *testing.T) {
	r := debian(t)
	o := options(t, r)
	o.Configure = func(_ context.Context, s *Staging) error {
		if !strings.HasSuffix(s.Append, "init=/usr/lib/doppel/configure") {
			t.Errorf("append is %q", s.Append)
		}
		for _, path := range []string{s.Disk, s.Kernel, s.Initrd} {
			if _, err := os.Stat(path); err != nil {
				t.Error(err)
			}
		}
		s.Console.Write([]byte("Setting up a (1) ...\r\ndoppel-configure: o"))
		s.Console.Write([]byte("k\r\n[ 1.0] reboot: Power down\r\n"))
		return nil
	}
	i, err := BuildDebian(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	if i.Name != "debian:trixie" || !i.Configured || i.Kernel != "6.1-riscv64" || i.Append != kernelAppend || i.Packages != len(basePackages)+2 {
		t.Errorf("%+v", i.Config)
	}
	if data, _ := os.ReadFile(i.KernelPath()); string(data) != "kernel" {
		t.Errorf("kernel is %q", data)
	}
	status := debugfs(t, i.Disk(), "cat /var/lib/dpkg/status")
	for _, want := range []string{"Package: base-files\nStatus: install ok unpacked\n", "Conffiles:\n /etc/issue b1946ac92492d2347c6235b4d2611184\n"} {
		if !strings.Contains(status, want) {
			t.Errorf("status lacks %q:\n%s", want, status)
		}
	}
	for request, want := range map[string]string{
		"cat /var/lib/dpkg/info/libc6:riscv64.list":   "/.\n/lib\n/lib/libc.so\n",
		"cat /usr/lib/libc.so":                        "elf", // the merged /usr
		"cat /var/lib/dpkg/triggers/File":             "/usr/share/x base-files/noawait\n",
		"cat /var/lib/dpkg/triggers/rebuild":          "base-files\n",
		"cat /etc/hostname":                           "doppel\n",
		"stat /tmp":                                   "Mode:  01777",
		"stat /var/lib/dpkg/info/base-files.postinst": "Mode:  0755",
	} {
		if got := debugfs(t, i.Disk(), request); !strings.Contains(got, want) {
			t.Errorf("%s: %q lacks %q", request, got, want)
		}
	}
	if script := debugfs(t, i.Disk(), "cat /usr/lib/doppel/configure"); strings.Contains(script, "@") && strings.Contains(script, "@FIRST@") || !strings.Contains(script, "for stem in base-files libc6:riscv64;") {
		t.Errorf("script:\n%s", script)
	}
}

// checkEmpty makes sure that a failed build leaves nothing in the store.
func checkEmpty(t testing.TB, s *store.Store) {
	t.Helper()
	entries, err := os.ReadDir(s.Dir())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != ".locks" {
			t.Errorf("left over: %s", e.Name())
		}
	}
}

func TestBuildFails(t *testing.T) {
	for name, c := range map[string]struct {
		change func(o *BuildOptions, r *aptest.Repo)
		want   string
	}{
		"script": {func(o *BuildOptions, _ *aptest.Repo) {
			o.Configure = console("doppel-configure: failed: package x; try\n")
		}, "failed: package x"},
		"silent": {func(o *BuildOptions, _ *aptest.Repo) { o.Configure = console("") }, "said nothing"},
		"early":  {func(o *BuildOptions, _ *aptest.Repo) { o.Configure = console("Kernel panic\n") }, "Kernel panic"},
		"machine": {func(o *BuildOptions, _ *aptest.Repo) {
			o.Configure = func(context.Context, *Staging) error { return errors.New("no memory") }
		}, "no memory"},
		"engine":    {func(o *BuildOptions, _ *aptest.Repo) { o.Arch, o.Configure = "amd64", console("") }, "no engine"},
		"package":   {func(o *BuildOptions, _ *aptest.Repo) { o.Packages = []string{"nonesuch"} }, "\"nonesuch\""},
		"too small": {func(o *BuildOptions, _ *aptest.Repo) { o.Size = 1 << 20 }, "--size"},
		"mirror":    {func(o *BuildOptions, _ *aptest.Repo) { o.Mirror = "ftp://x" }, "--mirror"},
		"name":      {func(o *BuildOptions, _ *aptest.Repo) { o.Name = "../x" }, "cannot name an image"},
		"truncated package": {func(_ *BuildOptions, r *aptest.Repo) {
			r.Set("/pool/libc6.deb", r.File("/pool/libc6.deb")[:100])
		}, "libc6.deb"},
		"wrong package": {func(_ *BuildOptions, r *aptest.Repo) {
			data := bytes.Clone(r.File("/pool/libc6.deb"))
			data[len(data)-1] ^= 1
			r.Set("/pool/libc6.deb", data)
		}, "not what its index says"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := debian(t)
			o := options(t, r)
			c.change(&o, r)
			_, err := BuildDebian(context.Background(), o)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one sentence with %q", err, c.want)
			}
			checkEmpty(t, o.Store)
		})
	}
}

func console(text string) func(context.Context, *Staging) error {
	return func(_ context.Context, s *Staging) error {
		io.WriteString(s.Console, text)
		return nil
	}
}

// TestInterruptedBuild stops a build at each package and goes on: what is downloaded is not asked for again.
func TestInterruptedBuild(t *testing.T) {
	r := debian(t)
	o := options(t, r)
	ctx, cancel := context.WithCancel(context.Background())
	var asked atomic.Int32
	r.Serve = func(_ http.ResponseWriter, req *http.Request) bool {
		if strings.HasPrefix(req.URL.Path, "/pool/") && asked.Add(1) == 5 {
			cancel()
		}
		return false
	}
	if _, err := BuildDebian(ctx, o); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	checkEmpty(t, o.Store)
	if _, err := BuildDebian(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	again := 0
	for path, n := range r.Asked {
		if strings.HasPrefix(path, "/pool/") && n > 1 {
			again++
		}
	}
	if again > downloads { // those under way when it stopped
		t.Errorf("%d packages were asked for again", again)
	}
}

func importOptions(t testing.TB) ImportOptions {
	r := debian(t)
	b := options(t, r)
	return ImportOptions{Store: b.Store, CacheDir: b.CacheDir, Mirror: r.URL, Keyrings: b.Keyrings, Size: 64 << 20}
}

func rootTar(t testing.TB, names ...string) []byte {
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for _, name := range names {
		if err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: 4}); err != nil {
			t.Fatal(err)
		}
		io.WriteString(tw, "data")
	}
	tw.Close()
	return b.Bytes()
}

func writeFile(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestImportTar(t *testing.T) {
	o := importOptions(t)
	var zipped bytes.Buffer
	zw := gzip.NewWriter(&zipped)
	zw.Write(rootTar(t, "bin/sh", "etc/x"))
	zw.Close()
	i, err := Import(context.Background(), writeFile(t, "my root.tar.gz", zipped.Bytes()), o)
	if err != nil {
		t.Fatal(err)
	}
	if i.Name != "my-root" || i.Append != kernelAppend || i.Kernel != "6.1-riscv64" {
		t.Errorf("%+v", i.Config)
	}
	if got := debugfs(t, i.Disk(), "cat /etc/x"); got != "data" {
		t.Errorf("got %q", got)
	}
	initrd, err := os.ReadFile(i.InitrdPath())
	if err != nil || !bytes.Contains(initrd, []byte("env -i")) || !bytes.Contains(initrd, []byte("'/bin/sh'")) {
		t.Errorf("the initrd does not start a shell (%v)", err)
	}
}

func TestImportOwnKernel(t *testing.T) {
	o := importOptions(t)
	path := writeFile(t, "root.tar", rootTar(t, "sbin/init", "boot/vmlinuz-6.2", "boot/initrd.img-6.2", "boot/vmlinuz-6.10", "boot/initrd.img-6.10", "boot/vmlinuz-7"))
	i, err := Import(context.Background(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	if i.Kernel != "6.10" {
		t.Errorf("kernel is %q", i.Kernel)
	}
}

func TestImportFolder(t *testing.T) {
	o := importOptions(t)
	dir := t.TempDir()
	os.MkdirAll(filepath.Join(dir, "sbin"), 0o755)
	os.WriteFile(filepath.Join(dir, "sbin/init"), []byte("init"), 0o755)
	os.Link(filepath.Join(dir, "sbin/init"), filepath.Join(dir, "second"))
	secret := writeFile(t, "secret", []byte("secret"))
	os.Symlink(secret, filepath.Join(dir, "link"))
	i, err := Import(context.Background(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	if got := debugfs(t, i.Disk(), "stat /second"); !strings.Contains(got, "Links: 2") {
		t.Errorf("got %s", got)
	}
	if got := debugfs(t, i.Disk(), "stat /link"); !strings.Contains(got, "Type: symlink") {
		t.Errorf("a link was followed:\n%s", got)
	}
}

func TestImportDisk(t *testing.T) {
	o := importOptions(t)
	disk := make([]byte, 4<<20+100)
	disk[510], disk[511] = 0x55, 0xaa
	for i, p := range []struct {
		typ     byte
		sectors uint32
	}{{0x0c, 5000}, {mbrLinux, 1000}, {mbrLinux, 2000}} {
		disk[446+16*i+4] = p.typ
		binary.LittleEndian.PutUint32(disk[446+16*i+12:], p.sectors)
	}
	i, err := Import(context.Background(), writeFile(t, "d.img", disk), o)
	if err != nil {
		t.Fatal(err)
	}
	if i.Append != "root=/dev/vda3 rw console=ttyS0" || i.DiskSize != 64<<20 {
		t.Errorf("%+v", i.Config)
	}
	gpt := make([]byte, 1<<20)
	gpt[510], gpt[511], gpt[450] = 0x55, 0xaa, mbrProtective
	h := gpt[512:]
	copy(h, "EFI PART")
	binary.LittleEndian.PutUint64(h[72:], 2)
	binary.LittleEndian.PutUint32(h[80:], 128)
	binary.LittleEndian.PutUint32(h[84:], 128)
	copy(gpt[1024:], guidLinuxData[:])
	binary.LittleEndian.PutUint64(gpt[1024+40:], 99999)
	copy(gpt[1024+128:], guidRootRISCV64[:])
	o.Name = "gpt"
	if i, err = Import(context.Background(), writeFile(t, "g.img", gpt), o); err != nil || !strings.HasPrefix(i.Append, "root=/dev/vda2 ") {
		t.Errorf("%v %v", i, err)
	}
}

func TestImportFails(t *testing.T) {
	o := importOptions(t)
	big := append(bytes.Repeat([]byte{0}, 0x8001), "CD001"...)
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"qcow2":     {[]byte("QFI\xfb\x00\x00\x00\x03"), "qemu-img convert"},
		"vmdk":      {[]byte("KDMV"), "qemu-img convert"},
		"iso":       {big, "CD image"},
		"text":      {[]byte("hello"), "not a raw disk"},
		"empty":     {nil, "not a raw disk"},
		"gzip":      {[]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x00zzzz"), "truncated"},
		"traversal": {rootTar(t, "bin/sh", "../../evil"), "leaves the archive"},
		"no init":   {rootTar(t, "etc/x"), "neither /sbin/init nor /bin/sh"},
		"cut":       {rootTar(t, "bin/sh")[:514], "ends in the middle"},
		"no linux":  {append(make([]byte, 510), append([]byte{0x55, 0xaa}, make([]byte, 4096)...)...), "no Linux partition"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Import(context.Background(), writeFile(t, "f", c.data), o)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one sentence with %q", err, c.want)
			}
			checkEmpty(t, o.Store)
		})
	}
	if _, err := Import(context.Background(), filepath.Join(t.TempDir(), "absent"), o); err == nil {
		t.Error("an absent file was taken")
	}
}

func TestEntry(t *testing.T) {
	sp, err := tree.NewSpool(t.TempDir(), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer sp.Close()
	tr := tree.New(sp)
	tr.WriteFile("etc/passwd", 0o644, []byte("root:x:0:0::/root:/bin/sh\nweb:x:33:34::/srv:/bin/sh\n"))
	tr.WriteFile("etc/group", 0o644, []byte("mail:x:8:\n"))
	for _, c := range []struct {
		user     string
		uid, gid uint32
		home     string
		fails    bool
	}{
		{"", 0, 0, "/root", false}, {"web", 33, 34, "/srv", false}, {"33", 33, 34, "/srv", false}, {"web:mail", 33, 8, "/srv", false},
		{"1000:1001", 1000, 1001, "/", false}, {"1000", 1000, 0, "/", false}, {"nobody", 0, 0, "", true}, {"web:none", 0, 0, "", true},
	} {
		e, err := entryOf(&store.Container{Entrypoint: []string{"/x"}, User: c.user, Env: []string{"PATH=/p", "bad", "A=b=c"}}, tr, "h")
		if (err != nil) != c.fails {
			t.Errorf("%q: %v", c.user, err)
		}
		if err != nil {
			continue
		}
		env := strings.Join(e.Env, " ")
		if e.UID != c.uid || e.GID != c.gid || env != "TERM=linux HOSTNAME=h HOME="+c.home+" PATH=/p A=b=c" || e.Dir != "/" {
			t.Errorf("%q: %+v", c.user, e)
		}
	}
	if _, err := entryOf(&store.Container{}, tr, "h"); err == nil {
		t.Error("an image without anything to run was taken")
	}
}

func FuzzContainer(f *testing.F) {
	f.Add([]byte(`{"Entrypoint":["/x","a'b"],"Env":["A=1"],"User":"web:mail","WorkingDir":"/x y","ExposedPorts":{"80/tcp":{}}}`), "web:x:1:2::/:/bin/sh")
	f.Fuzz(func(t *testing.T, config []byte, passwd string) {
		c, err := v1.ParseConfigFile(strings.NewReader(`{"config":` + string(config) + `}`))
		if err != nil {
			return
		}
		s, err := containerOf(c.Config, "")
		if err != nil {
			return
		}
		sp, err := tree.NewSpool(t.TempDir(), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		defer sp.Close()
		tr := tree.New(sp)
		tr.WriteFile("etc/passwd", 0o644, []byte(passwd))
		entryOf(s, tr, "h")
	})
}

func FuzzDisk(f *testing.F) {
	f.Add(make([]byte, 2048))
	f.Fuzz(func(t *testing.T, data []byte) { rootDevice(bytes.NewReader(data), int64(len(data))) })
}
