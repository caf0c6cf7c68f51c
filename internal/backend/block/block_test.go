package block

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"doppel/internal/backend"
)

// image makes a file of n random bytes.
func image(t *testing.T, n int) (path string, content []byte) {
	t.Helper()
	content = make([]byte, n)
	for i := range content {
		content[i] = byte(rand.Uint32())
	}
	path = filepath.Join(t.TempDir(), "disk.img")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, content
}

func open(t *testing.T, path string, mode Mode) backend.Disk {
	t.Helper()
	d, err := Open(path, mode)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func read(t *testing.T, d backend.Disk, off int64, n int) []byte {
	t.Helper()
	p := make([]byte, n)
	if err := d.ReadV([][]byte{p[:n/3], p[n/3:]}, off); err != nil {
		t.Fatal(err)
	}
	return p
}

// Random requests against a copy in memory, with every mode that writes.
func TestRandom(t *testing.T) {
	for _, mode := range []Mode{ReadWrite, Ephemeral} {
		t.Run(mode.String(), func(t *testing.T) {
			// Not a multiple of the overlay's clusters.
			path, want := image(t, 5*clusterSize+3*512)
			before := bytes.Clone(want)
			d := open(t, path, mode)
			for range 2000 {
				n := 512 * (1 + rand.IntN(300))
				off := 512 * rand.IntN((len(want)-n)/512+1)
				span := want[off : off+n]
				var err error
				switch rand.IntN(5) {
				case 0:
					data := make([]byte, n)
					for i := range data {
						data[i] = byte(rand.Uint32())
					}
					cut := rand.IntN(n)
					err = d.WriteV([][]byte{data[:cut], nil, data[cut:]}, int64(off))
					copy(span, data)
				case 1:
					err = d.WriteZeroes(int64(off), int64(n), rand.IntN(2) == 0)
					clear(span)
				case 2:
					if err = d.Discard(int64(off), int64(n)); err == nil {
						copy(span, read(t, d, int64(off), n)) // either is allowed
						for i := range span {
							if span[i] != 0 && mode == Ephemeral {
								t.Fatal("discarded content came back")
							}
						}
					}
				case 3:
					err = d.Flush()
				default:
					if !bytes.Equal(read(t, d, int64(off), n), span) {
						t.Fatalf("wrong data at %d, %d bytes", off, n)
					}
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(read(t, d, 0, len(want)), want) {
				t.Error("the disk is not what was written")
			}
			d.Close()
			file, _ := os.ReadFile(path)
			if mode == Ephemeral {
				want = before
			}
			if !bytes.Equal(file, want) {
				t.Error("the file is not what it should be")
			}
		})
	}
}

// C13: a header of another format is content like any other.
func TestNeverProbed(t *testing.T) {
	path, _ := image(t, 1<<20)
	for _, magic := range []string{"QFI\xfb\x00\x00\x00\x03", "KDMV", "conectix", "vhdxfile", "# Disk DescriptorFile\n", "\x7fVDI"} {
		d := open(t, path, ReadWrite)
		sector := append([]byte(magic), make([]byte, 512-len(magic))...)
		if err := d.WriteV([][]byte{sector}, 0); err != nil {
			t.Fatal(err)
		}
		d.Close()
		d = open(t, path, ReadWrite)
		if d.Size() != 1<<20 || !bytes.Equal(read(t, d, 0, 512), sector) {
			t.Errorf("%q changed what the disk is", magic)
		}
		d.Close()
	}
}

func TestLock(t *testing.T) {
	path, _ := image(t, 4096)
	try := func(mode Mode) error {
		d, err := Open(path, mode)
		if err == nil {
			d.Close()
		}
		return err
	}
	writer := open(t, path, ReadWrite)
	for _, mode := range []Mode{ReadWrite, ReadOnly, Ephemeral} {
		if err := try(mode); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "another machine") {
			t.Errorf("%v beside a writer: %v", mode, err)
		}
	}
	writer.Close()
	reader := open(t, path, Ephemeral)
	if err := try(ReadOnly); err != nil {
		t.Errorf("two readers: %v", err)
	}
	if err := try(ReadWrite); err == nil {
		t.Error("a writer beside a reader")
	}
	reader.Close()
	if err := try(ReadWrite); err != nil {
		t.Errorf("after all closed: %v", err)
	}
}

func TestReadOnly(t *testing.T) {
	path, want := image(t, 4096)
	os.Chmod(path, 0o400)
	d := open(t, path, ReadOnly)
	if !d.ReadOnly() || !bytes.Equal(read(t, d, 0, 4096), want) {
		t.Error("cannot be read")
	}
	if d.WriteV([][]byte{make([]byte, 512)}, 0) == nil || d.WriteZeroes(0, 512, true) == nil || d.Discard(0, 512) == nil {
		t.Error("a read-only disk was written")
	}
}

func TestBadFiles(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, n int64) string {
		p := filepath.Join(dir, name)
		f, err := os.Create(p)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		f.Truncate(n)
		return p
	}
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "none"): "does not exist",
		dir:                        "directory",
		file("empty", 0):           "0 bytes",
		file("odd", 1000):          "multiple of 512",
		fifo:                       "not a file",
		"/dev/null":                "not a file",
	} {
		for _, mode := range []Mode{ReadWrite, ReadOnly, Ephemeral} {
			d, err := Open(path, mode)
			if err == nil {
				d.Close()
			}
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s, %v: %v; want %q and the path in it", path, mode, err, want)
			}
		}
	}
}

// A full host file system is an error that says so, and the disk goes on:
// /dev/full stands in for the file.
func TestFull(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no /dev/full: %v", err)
	}
	d := &raw{path: "full.img", file: full, size: 4096}
	defer d.Close()
	sector := [][]byte{make([]byte, 512)}
	for _, err := range []error{d.WriteV(sector, 0), (&overlay{base: d, temp: full, size: 4096, owned: []uint64{1}}).WriteV(sector, 0)} {
		if err == nil || !strings.Contains(err.Error(), "full.img") || !strings.Contains(err.Error(), "free some space") {
			t.Errorf("error %v", err)
		}
	}
	if err := d.ReadV(sector, 0); err != nil {
		t.Errorf("read: %v", err)
	}
}

// The file becomes shorter under the disk: an error, not a wait.
func TestTruncated(t *testing.T) {
	path, _ := image(t, 8192)
	d := open(t, path, ReadWrite)
	os.Truncate(path, 4096)
	if err := d.ReadV([][]byte{make([]byte, 4096)}, 4096); err == nil {
		t.Error("read beyond the end of the file")
	}
}

// Writers and readers of an overlay at once: each sector is whole.
func TestOverlayConcurrent(t *testing.T) {
	path, _ := image(t, 4*clusterSize)
	d := open(t, path, Ephemeral)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			off := int64(w) * clusterSize / 2 // shares clusters with others
			for i := range 200 {
				p := bytes.Repeat([]byte{byte(i)}, 4096)
				if err := d.WriteV([][]byte{p}, off); err != nil {
					t.Error(err)
					return
				}
				got := make([]byte, 4096)
				if err := d.ReadV([][]byte{got}, off); err != nil || !bytes.Equal(got, p) {
					t.Errorf("read back something else: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// Punched space goes back to the host.
func TestDiscardFreesSpace(t *testing.T) {
	path, _ := image(t, 1<<20)
	d := open(t, path, ReadWrite)
	d.Flush()
	used := func() int64 {
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil {
			t.Fatal(err)
		}
		return st.Blocks
	}
	before := used()
	if err := d.Discard(0, 1<<20); err != nil {
		t.Fatal(err)
	}
	if d.(*raw).noPunch.Load() {
		t.Skip("the file system cannot punch holes")
	}
	if now := used(); now >= before {
		t.Errorf("%d blocks used, %d before", now, before)
	}
	if !bytes.Equal(read(t, d, 0, 1<<20), make([]byte, 1<<20)) {
		t.Error("discarded content is not zeros")
	}
}

// More buffers than the host takes in one call.
func TestManyBuffers(t *testing.T) {
	path, want := image(t, 512*2500)
	d := open(t, path, ReadWrite)
	got := make([]byte, len(want))
	var bufs [][]byte
	for p := got; len(p) > 0; p = p[512:] {
		bufs = append(bufs, p[:512])
	}
	if err := d.ReadV(bufs, 0); err != nil || !bytes.Equal(got, want) {
		t.Errorf("wrong data: %v", err)
	}
}
