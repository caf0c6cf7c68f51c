package compress

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"hash/crc32"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

func packed(t testing.TB, text string) map[Format][]byte {
	out := map[Format][]byte{Plain: []byte(text)}
	for f, open := range map[Format]func(io.Writer) (io.WriteCloser, error){
		Gzip: func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil },
		Xz:   func(w io.Writer) (io.WriteCloser, error) { return xz.NewWriter(w) },
		Zstd: func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) },
	} {
		var b bytes.Buffer
		w, err := open(&b)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, text)
		w.Close()
		out[f] = b.Bytes()
	}
	return out
}

func TestReader(t *testing.T) {
	text := strings.Repeat("some text ", 1000)
	for f, data := range packed(t, text) {
		if got := Detect(data); got != f {
			t.Errorf("%v is taken for %v", f, got)
		}
		r, done, err := Reader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(f, err)
		}
		got, err := io.ReadAll(r)
		if err != nil || string(got) != text {
			t.Errorf("%v: %d bytes, %v", f, len(got), err)
		}
		done()
	}
}

// TestXzDictionary: a header must not make us take gigabytes.
func TestXzDictionary(t *testing.T) {
	data := packed(t, "x")[Xz]
	head := data[12:24]
	i := bytes.Index(head, []byte{0x21, 1})
	head[i+2] = 39 // 3 GiB
	binary.LittleEndian.PutUint32(head[8:], crc32.ChecksumIEEE(head[:8]))
	if _, _, err := Reader(bytes.NewReader(data)); err == nil || !strings.Contains(err.Error(), "dictionary") {
		t.Errorf("got %v", err)
	}
}

func FuzzReader(f *testing.F) {
	for _, data := range packed(f, strings.Repeat("text", 100)) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, done, err := Reader(bytes.NewReader(data))
		if err != nil {
			return
		}
		defer done()
		io.Copy(io.Discard, io.LimitReader(r, 1<<22))
	})
}
