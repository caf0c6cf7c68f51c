package e2e

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"doppel/test/guest"
)

// entry is the program of the test's container.
const entry = `#!/bin/sh
echo "args: $*"
echo "greeting: $GREETING"
echo "here: $(pwd), user $(id -u):$(id -g), home $HOME"
ip addr show | grep -o 10.0.2.15 | head -n 1
exit $CODE
`

// rootInit is the init of a root file system that is no container's.
const rootInit = `#!/bin/sh
echo "init of the image, process $$"
mount -t proc proc /proc
cat /hello
sync
poweroff -f
`

// rootTar makes the root file system of a small image.
func rootTar(t testing.TB, f *guest.Files) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	add := func(h tar.Header, data string) {
		h.Size, h.ModTime = int64(len(data)), time.Unix(1700000000, 0)
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, data); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{"bin", "sbin", "etc", "proc", "dev", "sys", "tmp", "srv", "root"} {
		add(tar.Header{Name: d + "/", Mode: 0o755, Typeflag: tar.TypeDir}, "")
	}
	add(tar.Header{Name: "bin/busybox", Mode: 0o755}, string(readFile(t, f.Busybox)))
	for _, a := range []string{"sh", "mount", "cat", "sync", "poweroff", "id", "ip", "grep", "head", "echo"} {
		add(tar.Header{Name: "bin/" + a, Typeflag: tar.TypeSymlink, Linkname: "busybox"}, "")
	}
	add(tar.Header{Name: "etc/passwd", Mode: 0o644}, "root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/srv:/bin/sh\n")
	add(tar.Header{Name: "hello", Mode: 0o644}, "hello from the image\n")
	add(tar.Header{Name: "entry", Mode: 0o755}, entry)
	add(tar.Header{Name: "sbin/init", Mode: 0o755}, rootInit)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// containerImage makes an OCI image of two layers; the second takes a file of
// the first away.
func containerImage(t testing.TB, root []byte, user string, code int) v1.Image {
	t.Helper()
	img := v1.Image(empty.Image)
	for _, data := range [][]byte{root, tarFile(t, map[string]string{".wh.hello": "", "second": "layer\n"})} {
		l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil })
		if err != nil {
			t.Fatal(err)
		}
		if img, err = mutate.AppendLayers(img, l); err != nil {
			t.Fatal(err)
		}
	}
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c = c.DeepCopy()
	c.OS, c.Architecture = "linux", "riscv64"
	c.Config = v1.Config{Entrypoint: []string{"/entry", "one"}, Cmd: []string{"two words", "it's"}, WorkingDir: "/srv", User: user,
		Env: []string{"PATH=/bin", "GREETING=good day, $USER", fmt.Sprint("CODE=", code)}}
	if img, err = mutate.ConfigFile(img, c); err != nil {
		t.Fatal(err)
	}
	return img
}

// cli runs a command that has to succeed, with a data folder of its own but
// the user's cache.
func cli(t testing.TB, home string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+home)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("XDG_DATA_HOME=%s bin/doppel %s: %v\n%s%s", home, strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out)
}

// A folder and a tar file become images that boot the default kernel and their
// own init.
func TestImport(t *testing.T) {
	t.Parallel()
	f := guest.Get(t)
	home, work := t.TempDir(), t.TempDir()
	root := rootTar(t, f)
	writeFile(t, filepath.Join(work, "root.tar"), root)
	writeFile(t, filepath.Join(work, "root.tar.gz"), compressGzip(t, root))
	folder := filepath.Join(work, "folder")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("tar", "-xf", filepath.Join(work, "root.tar"), "-C", folder).CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, out)
	}
	for _, source := range []string{"root.tar.gz", "folder"} {
		cli(t, home, "image", "import", filepath.Join(work, source), "--name", "test/"+source, "--size", "256M")
		s := start(t, options{env: []string{"XDG_DATA_HOME=" + home}}, "run", "test/"+source)
		s.expect("init of the image, process 1", kernelUp)
		s.expect("hello from the image", soon)
		s.wait(0, soon)
	}
	if ls := cli(t, home, "image", "ls"); !strings.Contains(ls, "test/folder ") || !strings.Contains(ls, "test/root.tar.gz ") || !strings.Contains(ls, "256.0M") {
		t.Errorf("image ls:\n%s", ls)
	}
	var info struct {
		Name string
		Arch string
		Dir  string
	}
	if err := json.Unmarshal([]byte(cli(t, home, "image", "inspect", "test/folder")), &info); err != nil || info.Name != "test/folder" || info.Arch != "riscv64" {
		t.Errorf("image inspect: %+v, %v", info, err)
	}
	fsck(t, filepath.Join(info.Dir, "disk.raw"))
	cli(t, home, "image", "rm", "test/folder", "test/root.tar.gz")
	if ls := cli(t, home, "image", "ls"); strings.Contains(ls, "test/") {
		t.Errorf("image ls after rm:\n%s", ls)
	}
	if left := leftovers(t, home); len(left) > 0 {
		t.Errorf("image rm leaves %q", left)
	}
}

// A container image, from a folder and from a registry: its entry point runs
// as its configuration says, and its status is the program's.
func TestContainer(t *testing.T) {
	t.Parallel()
	f := guest.Get(t)
	home := t.TempDir()
	root := rootTar(t, f)
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	reference := strings.TrimPrefix(server.URL, "http://") + "/some/app:v1"
	ref, err := name.ParseReference(reference)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, containerImage(t, root, "app", 23)); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "layout")
	l, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.AppendImage(containerImage(t, root, "", 0)); err != nil {
		t.Fatal(err)
	}
	cli(t, home, "image", "pull", reference, "--name", "pulled", "--size", "256M")
	cli(t, home, "image", "import", dir, "--name", "layout", "--size", "256M")
	for _, c := range []struct {
		image, who string
		code       int
	}{{"pulled", "user 1000:1001, home /srv", 23}, {"layout", "user 0:0, home /root", 0}} {
		s := start(t, options{env: []string{"XDG_DATA_HOME=" + home}}, "run", c.image)
		s.expect("args: one two words it's\r\n", kernelUp)
		s.expect("greeting: good day, $USER\r\n", soon)
		s.expect("here: /srv, "+c.who+"\r\n", soon)
		s.expect("10.0.2.15\r\n", soon)
		s.wait(c.code, kernelUp)
	}
	names := strings.Fields(cli(t, home, "image", "ls"))
	if !slices.Contains(names, "pulled") || !slices.Contains(names, "layout") {
		t.Errorf("image ls: %q", names)
	}
}
