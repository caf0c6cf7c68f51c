package machine

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"doppel/internal/memory"
	"doppel/internal/state"
)

// The saved form of a machine: magic, length and sections, then for each
// region of memory its name and size and the pages that are not zero, each
// behind its number; a number of all ones ends a region. Integers are
// little-endian.
const (
	saveMagic   = "DOPPEL\x00\x01"
	maxSections = 64 << 20 // bytes of all sections together
	endOfRegion = ^uint64(0)
)

// Save writes state and memory. The machine is not running.
func (m *Machine) Save(w io.Writer) error {
	sections, err := m.SaveState()
	if err != nil {
		return err
	}
	b := bufio.NewWriterSize(w, 1<<20)
	io.WriteString(b, saveMagic)
	enc := state.EncodeSections(sections)
	writeU64(b, uint64(len(enc)))
	b.Write(enc)
	for _, r := range m.mem.Regions() {
		saveRegion(b, r)
	}
	if err := b.Flush(); err != nil { // the first failed write sticks
		return fmt.Errorf("save machine: %w", err)
	}
	return nil
}

func writeU64(b *bufio.Writer, v uint64) {
	b.Write(binary.LittleEndian.AppendUint64(nil, v))
}

func saveRegion(b *bufio.Writer, r *memory.Region) {
	writeU64(b, uint64(r.Base))
	writeU64(b, r.Size)
	for start, end := r.NextData(0); start < r.Size; start, end = r.NextData(end) {
		for off := start &^ (memory.PageSize - 1); off < end; off += memory.PageSize {
			savePage(b, off/memory.PageSize, r.Bytes()[off:][:memory.PageSize])
		}
	}
	writeU64(b, endOfRegion)
}

var zeroPage [memory.PageSize]byte

func savePage(b *bufio.Writer, n uint64, page []byte) {
	if !bytes.Equal(page, zeroPage[:]) {
		writeU64(b, n)
		b.Write(page)
	}
}

// Restore reads what Save wrote into a machine of the same configuration that
// has not run. After an error the machine can only be closed.
func (m *Machine) Restore(r io.Reader) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.change(actRestore); err != nil {
		return err
	}
	if err := m.restore(bufio.NewReaderSize(r, 1<<20)); err != nil {
		m.spoil(err)
		return fmt.Errorf("restore machine: %w", err)
	}
	return nil
}

func (m *Machine) restore(b *bufio.Reader) error {
	sections, err := readSections(b)
	if err != nil {
		return err
	}
	if err := state.RestoreAll(m.components(), complete(sections)); err != nil {
		return err
	}
	for _, r := range m.mem.Regions() {
		if err := m.restoreRegion(b, r); err != nil {
			return fmt.Errorf("memory %s: %w", r.Name, err)
		}
	}
	for _, v := range m.vcpus {
		m.unwind(v)
	}
	return nil
}

// complete adds the section that machines were saved without once: there was no
// input then.
func complete(sections []state.Section) []state.Section {
	for _, s := range sections {
		if s.Name == consoleSection {
			return sections
		}
	}
	var none state.Encoder
	none.Bytes(nil)
	return append(sections[:len(sections):len(sections)], state.Section{Name: consoleSection, Version: 1, Data: none.Data()})
}

func readSections(b *bufio.Reader) ([]state.Section, error) {
	var magic [len(saveMagic)]byte
	if _, err := io.ReadFull(b, magic[:]); err != nil || string(magic[:]) != saveMagic {
		return nil, fmt.Errorf("this is not a saved machine of this version")
	}
	n, err := readU64(b)
	if err != nil {
		return nil, err
	}
	if n > maxSections {
		return nil, fmt.Errorf("sections of %d bytes, over the limit of %d", n, maxSections)
	}
	var enc bytes.Buffer // grows with what is there, not with what is claimed
	if _, err := io.CopyN(&enc, b, int64(n)); err != nil {
		return nil, truncated(err)
	}
	return state.DecodeSections(enc.Bytes())
}

func readU64(b *bufio.Reader) (uint64, error) {
	var v [8]byte
	if _, err := io.ReadFull(b, v[:]); err != nil {
		return 0, truncated(err)
	}
	return binary.LittleEndian.Uint64(v[:]), nil
}

func truncated(err error) error { return fmt.Errorf("truncated: %w", err) }

func (m *Machine) restoreRegion(b *bufio.Reader, r *memory.Region) error {
	base, err := readU64(b)
	if err != nil {
		return err
	}
	size, err := readU64(b)
	if err != nil {
		return err
	}
	if base != uint64(r.Base) || size != r.Size {
		return fmt.Errorf("saved with %d bytes at %#x, this machine has %d at %#x", size, base, r.Size, uint64(r.Base))
	}
	if err := r.Zero(); err != nil {
		return err
	}
	for {
		n, err := readU64(b)
		if err != nil || n == endOfRegion {
			return err
		}
		if n >= r.Size/memory.PageSize {
			return fmt.Errorf("page %d is outside", n)
		}
		if !m.admit(r, n*memory.PageSize) {
			return memory.ErrBudget
		}
		if _, err := io.ReadFull(b, r.Bytes()[n*memory.PageSize:][:memory.PageSize]); err != nil {
			return truncated(err)
		}
	}
}

// admit makes sure of room for the page at off, if need be with the help of who
// governs memory.
func (m *Machine) admit(r *memory.Region, off uint64) bool {
	if r.AdmitPage(off) {
		return true
	}
	if m.cfg.MakeRoom != nil {
		m.cfg.MakeRoom()
	}
	m.mem.LetGo()
	return r.AdmitPage(off)
}
