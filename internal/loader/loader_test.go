package loader

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"doppel/internal/memory"
)

const (
	ramBase = 0x8000_0000
	ramSize = 8 << 20
)

var options = Options{RAMBase: ramBase, RAMSize: ramSize}

// image is a Linux Image of n bytes that takes size bytes of memory.
func image(n int, textOffset, size uint64) []byte {
	b := make([]byte, n)
	for i := imageHeaderSize; i < n; i++ {
		b[i] = byte(i * 7)
	}
	binary.LittleEndian.PutUint64(b[imageTextOffset:], textOffset)
	binary.LittleEndian.PutUint64(b[imageSizeOffset:], size)
	copy(b[48:], "RISCV\x00\x00\x00RSC\x05")
	return b
}

type segment struct {
	va, pa, size uint64
	data         []byte
}

// elf is an executable, with the symbols tohost and fromhost if at is not 0.
func elf(machine uint16, entry uint64, at uint64, segments ...segment) []byte {
	b := make([]byte, elfHeaderSize+programHeaderSize*len(segments))
	copy(b, "\x7fELF\x02\x01\x01")
	le.PutUint16(b[16:], elfTypeExec)
	le.PutUint16(b[18:], machine)
	le.PutUint64(b[24:], entry)
	le.PutUint64(b[32:], elfHeaderSize)
	le.PutUint16(b[54:], programHeaderSize)
	le.PutUint16(b[56:], uint16(len(segments)))
	for i, s := range segments {
		h := b[elfHeaderSize+programHeaderSize*i:]
		le.PutUint32(h, elfLoad)
		le.PutUint64(h[8:], uint64(len(b)))
		le.PutUint64(h[16:], s.va)
		le.PutUint64(h[24:], s.pa)
		le.PutUint64(h[32:], uint64(len(s.data)))
		le.PutUint64(h[40:], s.size)
		b = append(b, s.data...)
	}
	if at != 0 {
		b = withSymbols(b, at)
	}
	return b
}

func withSymbols(b []byte, at uint64) []byte {
	names := "\x00tohost\x00fromhost\x00"
	symtab := make([]byte, 3*symbolSize)
	le.PutUint32(symtab[symbolSize:], 1)
	le.PutUint64(symtab[symbolSize+8:], at)
	le.PutUint32(symtab[2*symbolSize:], 8)
	le.PutUint64(symtab[2*symbolSize+8:], at+64)
	symOff := uint64(len(b))
	b = append(b, symtab...)
	strOff := uint64(len(b))
	b = append(b, names...)
	headers := make([]byte, 3*sectionHeaderSize)
	h := headers[sectionHeaderSize:]
	le.PutUint32(h[4:], elfSymtab)
	le.PutUint64(h[24:], symOff)
	le.PutUint64(h[32:], uint64(len(symtab)))
	le.PutUint32(h[40:], 2)
	h = headers[2*sectionHeaderSize:]
	le.PutUint64(h[24:], strOff)
	le.PutUint64(h[32:], uint64(len(names)))
	le.PutUint64(b[40:], uint64(len(b)))
	le.PutUint16(b[58:], sectionHeaderSize)
	le.PutUint16(b[60:], 3)
	return append(b, headers...)
}

func gz(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func zst(b []byte) []byte {
	w, _ := zstd.NewWriter(nil)
	return w.EncodeAll(b, nil)
}

func xzs(b []byte) []byte {
	var out bytes.Buffer
	w, _ := xz.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

// zboot wraps a payload as Linux's EFI stub does.
func zboot(format string, payload []byte) []byte {
	b := make([]byte, 4096)
	copy(b, "MZ\x00\x00zimg")
	le.PutUint32(b[zbootPayloadAt:], uint32(len(b)))
	le.PutUint32(b[zbootPayloadSize:], uint32(len(payload)))
	copy(b[zbootTypeOffset:], format)
	return append(append(b, payload...), "padding behind it"...)
}

func TestRecognise(t *testing.T) {
	raw := image(10000, 2<<20, 30000)
	for name, c := range map[string]struct {
		data  []byte
		kind  Kind
		entry memory.GPA
	}{
		"Image":                 {raw, KindImage, 0x8020_0000},
		"Image, no text offset": {image(10000, 0, 30000), KindImage, 0x8020_0000},
		"Image, text offset":    {image(10000, 4<<20, 30000), KindImage, 0x8040_0000},
		"gzip":                  {gz(raw), KindImage, 0x8020_0000},
		"zstd":                  {zst(raw), KindImage, 0x8020_0000},
		"xz":                    {xzs(raw), KindImage, 0x8020_0000},
		"zboot gzip":            {zboot("gzip", gz(raw)), KindImage, 0x8020_0000},
		"zboot zstd":            {zboot("zstd22", zst(raw)), KindImage, 0x8020_0000},
		"zboot xz":              {zboot("xzkern", xzs(raw)), KindImage, 0x8020_0000},
		"zboot in gzip":         {gz(zboot("zstd", zst(raw))), KindImage, 0x8020_0000},
		"ELF":                   {elf(elfMachineRISC, 0x8000_0000, 0, segment{0x8000_0000, 0x8000_0000, 100, []byte("code")}), KindELF, 0x8000_0000},
		"ELF, virtual":          {elf(elfMachineRISC, 0xffff_ffff_8000_0010, 0, segment{0xffff_ffff_8000_0000, 0x8020_0000, 100, []byte("code")}), KindELF, 0x8020_0010},
		"ELF in gzip":           {gz(elf(elfMachineRISC, 0x8000_0000, 0, segment{0x8000_0000, 0x8000_0000, 100, []byte("code")})), KindELF, 0x8000_0000},
	} {
		p, err := Parse(c.data, options)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if p.Kind != c.kind || p.Entry != c.entry {
			t.Errorf("%s: %s at %#x, want %s at %#x", name, p.Kind, uint64(p.Entry), c.kind, uint64(c.entry))
		}
		if c.kind == KindImage && (!bytes.Equal(p.Segments[0].Data, raw) && p.Segments[0].Addr == 0x8020_0000 && le.Uint64(p.Segments[0].Data[8:]) != 0 || p.Segments[0].Size != 30000 || p.End != c.entry+30000) {
			t.Errorf("%s: wrong contents or size", name)
		}
	}
}

func TestRaw(t *testing.T) {
	o := options
	o.AllowRaw, o.RawAt = true, 0x8000_0000
	p, err := Parse([]byte("\x13\x00\x00\x00"), o)
	if err != nil || p.Kind != KindRaw || p.Entry != 0x8000_0000 || p.End != 0x8000_0004 {
		t.Errorf("got %+v, %v", p, err)
	}
}

func TestSymbols(t *testing.T) {
	p, err := Parse(elf(elfMachineRISC, 0x8000_0000, 0x8000_1000, segment{0x8000_0000, 0x8000_0000, 0x2000, []byte("code")}), options)
	if err != nil || p.ToHost != 0x8000_1000 || p.FromHost != 0x8000_1040 {
		t.Errorf("tohost %#x, fromhost %#x, %v", uint64(p.ToHost), uint64(p.FromHost), err)
	}
}

func TestRefuse(t *testing.T) {
	bz := make([]byte, 0x400)
	copy(bz[0x1fe:], "\x55\xaa\x00\x00HdrS")
	arm := make([]byte, 100)
	copy(arm[56:], "ARM\x64")
	good := segment{0x8000_0000, 0x8000_0000, 100, []byte("code")}
	cut := elf(elfMachineRISC, 0x8000_0000, 0, good)
	class := elf(elfMachineRISC, 0x8000_0000, 0, good)
	class[4] = 1
	object := elf(elfMachineRISC, 0x8000_0000, 0, good)
	object[16] = 1
	bomb := gz(make([]byte, ramSize+1))
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty":              {nil, "neither"},
		"text":               {[]byte("hello, world"), "neither"},
		"x86":                {bz, "x86 Linux bzImage"},
		"arm64":              {arm, "arm64 Linux Image"},
		"ELF of x86":         {elf(62, 0, 0, good), "x86-64"},
		"ELF of something":   {elf(9999, 0, 0, good), "machine number 9999"},
		"ELF of 32 bits":     {class, "64-bit"},
		"ELF object":         {object, "not an executable"},
		"ELF, nothing":       {elf(elfMachineRISC, 0, 0), "without anything to load"},
		"ELF, outside":       {elf(elfMachineRISC, 0, 0, segment{0x1000, 0x1000, 100, []byte("code")}), "more memory or link"},
		"ELF, wraps":         {elf(elfMachineRISC, 0, 0, segment{0x8000_0000, 0x8000_0000, ^uint64(0), []byte("code")}), "more memory or link"},
		"ELF, cut":           {cut[:len(cut)-1], "truncated"},
		"ELF header":         {cut[:20], "truncated"},
		"Image too big":      {image(10000, 2<<20, ramSize), "more memory"},
		"Image damaged":      {image(10000, 2<<20, 100), "damaged"},
		"Image, far":         {image(10000, 1<<60, 100), "damaged"},
		"gzip bomb":          {bomb, "more than the machine's memory"},
		"zstd bomb":          {zst(make([]byte, ramSize+1)), "more than the machine's memory"},
		"xz bomb":            {xzs(make([]byte, ramSize+1)), "more than the machine's memory"},
		"gzip cut":           {gz(image(10000, 0, 30000))[:200], "truncated"},
		"zstd cut":           {zst(image(10000, 0, 30000))[:200], "truncated"},
		"xz cut":             {xzs(image(10000, 0, 30000))[:200], "truncated"},
		"gzip header":        {[]byte("\x1f\x8b\x08"), "truncated"},
		"xz header":          {[]byte("\xfd7zXZ\x00"), "truncated"},
		"lz4":                {[]byte("\x02\x21\x4c\x18rest"), "lz4"},
		"nested":             {gz(gz(gz(gz(image(10000, 0, 30000))))), "compressed more than"},
		"zboot lzo":          {zboot("lzo", []byte("x")), "lzo"},
		"zboot no payload":   {zboot("gzip", nil), "damaged EFI zboot"},
		"zboot cut":          {zboot("gzip", gz(image(10000, 0, 30000)))[:4200], "damaged EFI zboot"},
		"zboot wrong inside": {zboot("gzip", []byte("not gzip")), "not gzip"},
	} {
		p, err := Parse(c.data, options)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, %v; want an error with %q", name, p, err, c.want)
		}
	}
}

// TestTruncatedPE: an Image with an EFI header tells where it ends.
func TestTruncatedPE(t *testing.T) {
	b := image(10000, 2<<20, 30000)
	le.PutUint32(b[60:], 64)
	copy(b[64:], "PE\x00\x00")
	le.PutUint16(b[64+6:], 1)
	le.PutUint16(b[64+20:], 0)
	le.PutUint32(b[64+24+16:], 9000) // SizeOfRawData
	le.PutUint32(b[64+24+20:], 1000) // PointerToRawData
	if _, err := Parse(b, options); err != nil {
		t.Errorf("a whole Image is refused: %v", err)
	}
	if _, err := Parse(b[:9999], options); err == nil || !strings.Contains(err.Error(), "truncated") {
		t.Errorf("a cut Image: %v", err)
	}
}

func TestLoad(t *testing.T) {
	var mem memory.Space
	defer mem.Close()
	ram, err := mem.Add(memory.RAM, "ram", ramBase, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	page := func(c byte) []byte { return bytes.Repeat([]byte{c}, memory.PageSize) }
	p := &Program{Segments: []Segment{
		{ramBase + 0x1000, []byte("code"), 10},
		{ramBase + 0x2000, slices.Concat(page('x'), page(0), page('y'), []byte("end")), 4 * memory.PageSize},
		{ramBase + 0x1002, []byte("D"), 2}, // over what is there
	}}
	if err := p.Load(&mem); err != nil {
		t.Fatal(err)
	}
	want := make([]byte, 1<<20)
	copy(want[0x1000:], "coD")
	copy(want[0x2000:], p.Segments[1].Data)
	if !bytes.Equal(ram.Bytes(), want) {
		t.Errorf("memory is %q, %q", ram.Bytes()[0xfff:0x100b], ram.Bytes()[0x5000:0x5004])
	}
}

// seeds are valid files of each kind.
func seeds() [][]byte {
	raw := image(1000, 2<<20, 30000)
	return [][]byte{nil, raw, gz(raw), zst(raw), xzs(raw), zboot("gzip", gz(raw)),
		elf(elfMachineRISC, 0x8000_0000, 0x8000_1000, segment{0x8000_0000, 0x8000_0000, 0x2000, []byte("code")})}
}

func FuzzParse(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		o := Options{RAMBase: ramBase, RAMSize: 1 << 20}
		p, err := Parse(data, o)
		if err != nil {
			if len(err.Error()) > 300 {
				t.Errorf("error of %d bytes", len(err.Error()))
			}
			return
		}
		for _, s := range p.Segments {
			if s.Addr < ramBase || uint64(s.Addr-ramBase) > o.RAMSize || s.Size > o.RAMSize-uint64(s.Addr-ramBase) || uint64(len(s.Data)) > s.Size {
				t.Errorf("segment at %#x of %d bytes, %d of them data", uint64(s.Addr), s.Size, len(s.Data))
			}
		}
	})
}

// TestDamaged flips and cuts valid files: no panic, whatever comes.
func TestDamaged(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for _, s := range seeds() {
		for range 300 {
			if len(s) == 0 {
				continue
			}
			b := bytes.Clone(s)
			b[rnd.IntN(len(b))] ^= byte(1 + rnd.IntN(255))
			Parse(b, options)
			Parse(b[:rnd.IntN(len(b))], options)
		}
	}
}
