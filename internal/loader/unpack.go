package loader

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// maxLayers bounds wrappers in wrappers: a zboot file in a gzip file is two.
const maxLayers = 3

// unpack takes off compression and EFI zboot wrappers. The result has at most
// limit bytes.
func unpack(b []byte, limit uint64) ([]byte, error) {
	for range maxLayers {
		var err error
		format := compression(b)
		switch {
		case isZboot(b):
			b, err = zbootPayload(b, limit)
		case format != "":
			b, err = decompress(b, format, limit)
		default:
			return b, nil
		}
		if err != nil {
			return nil, err
		}
	}
	if isZboot(b) || compression(b) != "" {
		return nil, fmt.Errorf("is compressed more than %d times over", maxLayers)
	}
	return b, nil
}

// compression names the compressed format of b, "" if it is none.
func compression(b []byte) string {
	for _, f := range [...]struct{ magic, name string }{
		{"\x1f\x8b\x08", "gzip"},
		{"\x28\xb5\x2f\xfd", "zstd"},
		{"\xfd7zXZ\x00", "xz"},
		{"BZh", "bzip2"},
		{"\x02\x21\x4c\x18", "lz4"},
		{"\x5d\x00\x00", "lzma"},
		{"\x89LZO\x00", "lzo"},
	} {
		if bytes.HasPrefix(b, []byte(f.magic)) {
			return f.name
		}
	}
	return ""
}

// reader opens a decompressor whose own memory is bounded as well.
func reader(b []byte, format string, limit uint64) (io.Reader, func(), error) {
	switch format {
	case "gzip":
		r, err := gzip.NewReader(bytes.NewReader(b))
		if err == nil {
			r.Multistream(false) // a kernel in a zboot file has padding behind it
		}
		return r, func() {}, err
	case "zstd":
		r, err := zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderMaxMemory(max(limit, 1<<20)), zstd.WithDecoderMaxWindow(128<<20))
		if err != nil {
			return nil, nil, err
		}
		return r, r.Close, nil
	case "xz":
		r, err := xz.ReaderConfig{SingleStream: true, DictCap: 1 << 20}.NewReader(bytes.NewReader(b))
		return r, func() {}, err
	}
	return nil, nil, fmt.Errorf("is compressed with %s, which is not supported: use gzip, zstd or xz", format)
}

func decompress(b []byte, format string, limit uint64) ([]byte, error) {
	if format == "xz" {
		if err := checkXZ(b, limit); err != nil {
			return nil, err
		}
	}
	r, done, err := reader(b, format, limit)
	if err != nil {
		return nil, damaged(format, err)
	}
	defer done()
	var out bytes.Buffer
	n, err := io.Copy(&out, io.LimitReader(r, int64(min(limit, 1<<62))+1))
	if uint64(n) > limit || errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded) {
		return nil, fmt.Errorf("unpacks to more than the machine's memory of %d MiB", limit>>20)
	}
	// The padding of a zboot payload follows a whole stream: what came is complete.
	if err != nil {
		return nil, damaged(format, err)
	}
	return out.Bytes(), nil
}

func damaged(format string, err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return fmt.Errorf("is truncated: the %s data ends early", format)
	}
	return fmt.Errorf("cannot be unpacked as %s: %w", format, err)
}

// Linux, drivers/firmware/efi/libstub/zboot-header.S.
const (
	zbootMagicOffset = 4
	zbootPayloadAt   = 8
	zbootPayloadSize = 12
	zbootTypeOffset  = 24
	zbootTypeSize    = 32
	zbootHeaderSize  = 64
)

func isZboot(b []byte) bool {
	return len(b) >= zbootHeaderSize && b[0] == 'M' && b[1] == 'Z' && string(b[zbootMagicOffset:zbootMagicOffset+4]) == "zimg"
}

func zbootPayload(b []byte, limit uint64) ([]byte, error) {
	at := uint64(binary.LittleEndian.Uint32(b[zbootPayloadAt:]))
	size := uint64(binary.LittleEndian.Uint32(b[zbootPayloadSize:]))
	if at < zbootHeaderSize || at+size > uint64(len(b)) || size == 0 {
		return nil, fmt.Errorf("is a truncated or damaged EFI zboot file: payload of %d bytes at %d in a file of %d", size, at, len(b))
	}
	kind, _, _ := bytes.Cut(b[zbootTypeOffset:zbootTypeOffset+zbootTypeSize], []byte{0})
	payload := b[at : at+size]
	switch format := string(kind); format {
	case "gzip", "xz", "zstd", "xzkern", "zstd22":
		got := compression(payload)
		if got == "" {
			return nil, fmt.Errorf("is a damaged EFI zboot file: its %s payload is not %[1]s", format)
		}
		return decompress(payload, got, limit)
	default:
		return nil, fmt.Errorf("is an EFI zboot file compressed with %.32q, which is not supported: use gzip, zstd or xz", format)
	}
}
