package kmod

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// elfModule makes the least ELF file that has a .modinfo section.
func elfModule(info string) []byte {
	const names = "\x00.modinfo\x00.shstrtab\x00"
	le := binary.LittleEndian
	b := make([]byte, 64)
	copy(b, "\x7fELF\x02\x01\x01")
	le.PutUint16(b[16:], 1)   // relocatable
	le.PutUint16(b[18:], 243) // RISC-V
	le.PutUint32(b[20:], 1)
	infoAt := len(b)
	b = append(b, info...)
	namesAt := len(b)
	b = append(b, names...)
	le.PutUint64(b[40:], uint64(len(b)))
	le.PutUint16(b[52:], 64)
	le.PutUint16(b[58:], 64)
	le.PutUint16(b[60:], 3)
	le.PutUint16(b[62:], 2)
	section := func(name, typ uint32, at, size int) {
		h := make([]byte, 64)
		le.PutUint32(h[0:], name)
		le.PutUint32(h[4:], typ)
		le.PutUint64(h[24:], uint64(at))
		le.PutUint64(h[32:], uint64(size))
		b = append(b, h...)
	}
	section(0, 0, 0, 0)
	section(1, 1, infoAt, len(info))
	section(10, 3, namesAt, len(names))
	return b
}

func TestParse(t *testing.T) {
	m, err := Parse("kernel/fs/my-fs.ko.xz", elfModule("license=GPL\x00depends=a-b,c\x00alias=fs-my\x00softdep=pre: x-y z post: w\x00"))
	if err != nil {
		t.Fatal(err)
	}
	if m.Name != "my_fs" || fmt.Sprint(m.Depends, m.Aliases, m.pre()) != "[a_b c] [fs-my] [x_y z]" {
		t.Errorf("%+v %v", m, m.pre())
	}
	if _, err := Parse("x.ko", []byte("no ELF")); err == nil {
		t.Error("was taken")
	}
}

func TestOrder(t *testing.T) {
	all := map[string]*Module{
		"ext4": {Name: "ext4", Depends: []string{"jbd2", "mbcache"}, Softdep: []string{"pre: crc"}},
		"jbd2": {Name: "jbd2"}, "mbcache": {Name: "mbcache"}, "crc": {Name: "crc"},
		"bad": {Name: "bad", Depends: []string{"absent"}}, "loop": {Name: "loop", Depends: []string{"loop"}},
	}
	get := func(name string) (*Module, error) {
		if m := all[name]; m != nil {
			return m, nil
		}
		return nil, ErrMissing
	}
	got, err := Order([]string{"built-in", "ext4", "jbd2", "loop"}, get)
	var names []string
	for _, m := range got {
		names = append(names, m.Name)
	}
	if err != nil || strings.Join(names, " ") != "crc jbd2 mbcache ext4 loop" {
		t.Errorf("%v %v", names, err)
	}
	if _, err := Order([]string{"bad"}, get); !errors.Is(err, ErrMissing) {
		t.Errorf("got %v", err)
	}
}

// lookup walks a trie as libkmod does.
func lookup(t testing.TB, index []byte, key string) []string {
	t.Helper()
	be := binary.BigEndian
	at := be.Uint32(index[8:])
	for {
		p := index[at&0x0fffffff:]
		if at&nodePrefix != 0 {
			end := bytes.IndexByte(p, 0)
			if !strings.HasPrefix(key, string(p[:end])) {
				return nil
			}
			key, p = key[end:], p[end+1:]
		}
		var next uint32
		if at&nodeChilds != 0 {
			low, high := p[0], p[1]
			if key != "" && key[0] >= low && key[0] <= high {
				next = be.Uint32(p[2+4*int(key[0]-low):])
			}
			p = p[2+4*(int(high-low)+1):]
		}
		if key == "" {
			var out []string
			if at&nodeValues != 0 {
				n := be.Uint32(p)
				p = p[4:]
				for range n {
					end := 4 + bytes.IndexByte(p[4:], 0)
					out, p = append(out, string(p[4:end])), p[end+1:]
				}
			}
			return out
		}
		if next == 0 {
			return nil
		}
		at, key = next, key[1:]
	}
}

func TestIndex(t *testing.T) {
	entries := []indexEntry{{"virtio_net", "a", 1}, {"virtio", "b", 2}, {"virtio_blk", "c", 0}, {"x", "d", 0}, {"virtio", "e", 1}, {"", "root", 0}, {"\xff", "lost", 0}}
	b := buildIndex(entries)
	for key, want := range map[string]string{"virtio": "[e b]", "virtio_net": "[a]", "virtio_blk": "[c]", "x": "[d]", "": "[root]", "v": "[]", "virtio_": "[]", "virtio_netx": "[]"} {
		if got := fmt.Sprint(lookup(t, b, key)); got != want {
			t.Errorf("%q: %s, not %s", key, got, want)
		}
	}
}

func TestDepmod(t *testing.T) {
	mods := []*Module{
		{Name: "net", Path: "n.ko", Depends: []string{"mid"}, Aliases: []string{"virtio:d-[a-b]*", "devname:net/tun", "char-major-10-200"}},
		{Name: "mid", Path: "m.ko", Depends: []string{"low"}}, {Name: "low", Path: "l.ko"},
	}
	files, err := Index(mods, []byte("kernel/a-b.ko\n"), []byte("a_b.alias=pci:x-y\x00a_b.license=GPL\x00"))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(files["modules.dep"]); got != "n.ko: m.ko l.ko\nm.ko: l.ko\nl.ko:\n" {
		t.Errorf("modules.dep: %q", got)
	}
	if got := lookup(t, files["modules.alias.bin"], "virtio:d_[a-b]*"); !slices.Equal(got, []string{"net"}) {
		t.Errorf("alias: %v", got)
	}
	if got := lookup(t, files["modules.builtin.alias.bin"], "pci:x_y"); !slices.Equal(got, []string{"a_b"}) {
		t.Errorf("built-in alias: %v", got)
	}
	if !strings.Contains(string(files["modules.devname"]), "net net/tun c10:200\n") {
		t.Errorf("modules.devname: %q", files["modules.devname"])
	}
}

func FuzzParse(f *testing.F) {
	f.Add(elfModule("depends=a\x00softdep=pre: b\x00alias=c\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if m, err := Parse("x.ko", data); err == nil {
			m.pre()
			if _, err := Index([]*Module{m}, data, data); err != nil {
				t.Fatal(err)
			}
		}
	})
}
