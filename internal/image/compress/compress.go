// Package compress opens gzip, xz, zstd, bzip2 and plain streams, recognised by their first bytes.
//
// It does not compress. The functions may be called from any goroutine; a reader belongs to one.
package compress

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// maxDictionary bounds what a stream's header may make us allocate: the largest of xz's presets (-9) is 64 MiB.
const maxDictionary = 128 << 20

// Format is a compression format.
type Format int

// The formats known.
const (
	Plain Format = iota
	Gzip
	Xz
	Zstd
	Bzip2
)

// String names the format.
func (f Format) String() string {
	switch f {
	case Plain:
		return "plain"
	case Gzip:
		return "gzip"
	case Xz:
		return "xz"
	case Zstd:
		return "zstd"
	case Bzip2:
		return "bzip2"
	}
	return fmt.Sprintf("Format(%d)", int(f))
}

// Detect tells the format from a stream's first six bytes.
func Detect(head []byte) Format {
	for _, m := range []struct {
		magic string
		f     Format
	}{{"\x1f\x8b", Gzip}, {"\xfd7zXZ\x00", Xz}, {"\x28\xb5\x2f\xfd", Zstd}, {"BZh", Bzip2}} {
		if bytes.HasPrefix(head, []byte(m.magic)) {
			return m.f
		}
	}
	return Plain
}

// Reader gives the decompressed stream of r and a function that frees it. A plain stream is given as it is.
func Reader(r io.Reader) (io.Reader, func(), error) {
	br := bufio.NewReaderSize(r, 256<<10)
	head, err := br.Peek(6)
	if err != nil && err != io.EOF {
		return nil, nil, err
	}
	nop := func() {}
	f := Detect(head)
	switch f {
	case Gzip:
		zr, err := gzip.NewReader(br)
		if err != nil {
			return nil, nil, fmt.Errorf("the gzip stream is damaged: %w", err)
		}
		return zr, nop, nil
	case Xz:
		if err := checkXz(br); err != nil {
			return nil, nil, err
		}
		zr, err := xz.NewReader(br)
		if err != nil {
			return nil, nil, fmt.Errorf("the xz stream is damaged: %w", err)
		}
		return bufio.NewReaderSize(zr, 256<<10), nop, nil
	case Zstd:
		zr, err := zstd.NewReader(br, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxDictionary),
			zstd.WithDecoderMaxMemory(maxDictionary))
		if err != nil {
			return nil, nil, fmt.Errorf("the zstd stream is damaged: %w", err)
		}
		return zr, zr.Close, nil
	case Bzip2:
		return bzip2.NewReader(br), nop, nil
	}
	return br, nop, nil
}

// checkXz refuses a first block whose dictionary is larger than maxDictionary; the library allocates what the header
// says (xz format §3.1, §5.3.1).
func checkXz(br *bufio.Reader) error {
	const streamHeader = 12
	head, err := br.Peek(streamHeader + 24)
	if err != nil && err != io.EOF {
		return err
	}
	if len(head) < streamHeader+5 || head[streamHeader] == 0 {
		return nil // no block
	}
	// Block header: size, flags, then filters; optional sizes are given when flag bits say so. The LZMA2 filter is id
	// 0x21, property length 1, then the dictionary size.
	i := bytes.Index(head[streamHeader:], []byte{0x21, 0x01})
	if i < 0 || streamHeader+i+2 >= len(head) {
		return nil
	}
	bits := head[streamHeader+i+2] & 0x3f
	size := int64(1) << 32
	if bits < 40 {
		size = int64(2|bits&1) << (bits/2 + 11)
	}
	if size > maxDictionary {
		return fmt.Errorf("the xz stream wants a dictionary of %d MiB, more than %d MiB", size>>20, maxDictionary>>20)
	}
	return nil
}
