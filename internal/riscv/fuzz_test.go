package riscv

import "testing"

// FuzzDecode checks what holds for any encoding: the length, that fields are in range, that no operand is set which
// the instruction does not have, and that what is decoded encodes back to the same operands.
func FuzzDecode(f *testing.F) {
	for op := ILLEGAL + 1; op < NumOps; op++ {
		f.Add(specs[op].match)
	}
	for _, s := range cspecs {
		f.Add(uint32(s.match | s.nonzero))
	}
	f.Add(uint32(0x0100010f))
	f.Fuzz(func(t *testing.T, raw uint32) { checkDecode(t, raw) })
}

func checkDecode(t *testing.T, raw uint32) {
	i := Decode(raw)
	if wide := raw&3 == 3; wide && (i.Len != 4 || i.Raw != raw) || !wide && (i.Len != 2 || i.Raw != raw&0xffff) {
		t.Fatalf("%#x: %+v", raw, i)
	}
	if i.Op >= NumOps || i.Rd > 31 || i.Rs1 > 31 || i.Rs2 > 31 || i.Rs3 > 31 || i.RM > 7 {
		t.Fatalf("%#x: %+v", raw, i)
	}
	if i.Disassemble(0) == "" || i.Op.String() == "" {
		t.Fatalf("%#x has no text", raw)
	}
	if i.Op == ILLEGAL {
		if i != (Inst{Raw: i.Raw, Len: i.Len}) {
			t.Fatalf("%#x is illegal with operands: %+v", raw, i)
		}
		return
	}
	if i.Op != C_MOP {
		encoded, err := Encode(i)
		if err != nil {
			t.Fatalf("%#x: %v does not encode: %v", raw, i.Disassemble(0), err)
		}
		if i.Op.atomic() {
			encoded |= i.Raw & (3 << 25)
		}
		again := Decode(encoded)
		again.Raw, again.Len = i.Raw, i.Len
		// With the reserved rd or rs1 not zero it is not PAUSE but the FENCE that PAUSE is a case of.
		if again != i && !(i.Op == FENCE && again.Op == PAUSE) {
			t.Fatalf("%#x: %+v encodes to %#x: %+v", raw, i, encoded, again)
		}
	}
	if c, ok := Compress(i); ok {
		again := Decode(uint32(c))
		// A move may change its form; otherwise all operands come back, or the two sources exchanged.
		if again.Op == ILLEGAL || again.Rd != i.Rd || again.Op == i.Op && again.Imm != i.Imm {
			t.Fatalf("%#x: %+v compresses to %#x: %+v", raw, i, c, again)
		}
		if i.Len == 2 && i.EncodingExtension() == ExtC && uint32(c) != i.Raw {
			// Only where two encodings mean the same.
			if i.Op != ADDI && i.Op != LW && i.Op != LD && i.Op != FLD && i.Op != SW && i.Op != SD && i.Op != FSD {
				t.Fatalf("%#x compresses to %#x", raw, c)
			}
		}
	}
}

func TestEvery16BitEncodingComesBack(t *testing.T) {
	for _, raw := range words16() {
		checkDecode(t, raw)
		s := cLookup(uint16(raw))
		if s == nil {
			continue
		}
		if again, ok := s.encode(Decode(raw)); !ok || uint32(again) != raw {
			t.Errorf("%s %#x encodes as %#x, %v", s.name, raw, again, ok)
		}
	}
}

func TestTableIsConsistent(t *testing.T) {
	for op := ILLEGAL + 1; op < NumOps; op++ {
		s := &specs[op]
		if s.name == "" || s.ext == ExtNone || s.match&^s.mask != 0 {
			t.Errorf("%d: %+v", op, *s)
		}
		// PACKW with rs2 x0 is ZEXT_H and ORI with rd x0 a prefetch.
		if got := Decode(s.match).Op; s.match&3 == 3 && got != op && op != PACKW && op != ORI {
			t.Errorf("%v decodes as %v", op, got)
		}
		for other := ILLEGAL + 1; other < op; other++ {
			o := &specs[other]
			if common := s.mask & o.mask; s.match&common == o.match&common && s.match&3 == 3 && o.match&3 == 3 {
				// Overlap is right only where one is a special case of the other.
				if common != s.mask && common != o.mask {
					t.Errorf("%v and %v overlap", op, other)
				}
			}
		}
	}
	for _, s := range cspecs {
		if s.match&^s.mask != 0 || s.match&3 == 3 || s.nonzero&s.mask != 0 {
			t.Errorf("%+v", s)
		}
	}
}

func TestNames(t *testing.T) {
	for _, c := range CSRs() {
		name, ok := c.Name()
		if back, ok2 := CSRByName(name); !ok || !ok2 || back != c || c.String() != name {
			t.Errorf("%#x: %q", uint16(c), name)
		}
	}
	for n := range uint8(32) {
		if back, ok := XByName(XName(n)); !ok || back != n {
			t.Errorf("x%d", n)
		}
		if back, ok := FByName(FName(n)); !ok || back != n {
			t.Errorf("f%d", n)
		}
		if back, ok := FliByName(FliName(n)); !ok || back != n {
			t.Errorf("fli %d", n)
		}
	}
	for _, c := range []struct{ got, want string }{
		{CSR(0x123).String(), "0x123"},
		{Op(60000).String(), "op(60000)"},
		{Extension(200).String(), "extension?"},
		{Operand(200).String(), "operand?"},
		{IllegalInstruction.String(), "illegal instruction"},
		{SupervisorTimerInterrupt.String(), "supervisor timer interrupt"},
		{Cause(24).String(), "exception 24"},
		{(InterruptBit | 40).String(), "interrupt 40"},
		{Machine.String() + Supervisor.String() + User.String(), "MSU"},
		{Privilege(2).String(), "privilege 2"},
		{CSRMstatus.MinPrivilege().String() + CSRSatp.MinPrivilege().String() + CSRCycle.MinPrivilege().String(), "MSU"},
		{FADD_S.Extension().String() + FADD_S.String(), "Ffadd.s"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
	if CSRMstatus.ReadOnly() || !CSRCycle.ReadOnly() || !CSRMhartid.ReadOnly() {
		t.Error("ReadOnly")
	}
}
