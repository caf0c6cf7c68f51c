package asm

import (
	"maps"
	"slices"
)

// Options say where and how to assemble. The zero value is address 0, no compressed instructions.
type Options struct {
	Origin   uint64            // address of the first byte
	Compress bool              // use 16-bit encodings where they exist; ".option norvc" turns it off for a part
	Symbols  map[string]uint64 // constants that the source may use
}

// Program is the result of assembly.
type Program struct {
	Code    []byte
	Origin  uint64
	Symbols map[string]uint64 // labels and constants, those of Options.Symbols included; not numeric labels
}

// End returns the address after the last byte.
func (p *Program) End() uint64 { return p.Origin + uint64(len(p.Code)) }

const (
	maxCode      = 16 << 20  // bytes of output
	maxLines     = 200_000   // statements in one pass, after macros and repetitions
	maxWork      = 1_000_000 // statements in all passes together
	maxExpansion = 64 << 20  // bytes that macros and repetitions make of the source in one pass
	maxLineBytes = 16 << 10  // bytes in a statement after substitution
	maxNesting   = 64        // macros, repetitions and parentheses inside each other
	maxPasses    = 64
	maxErrors    = 20
)

// Assemble translates source text. The error, if any, is an ErrorList.
func Assemble(src string, opts Options) (*Program, error) {
	lines, errs := split(src)
	if len(errs) > 0 {
		return nil, errs
	}
	// The source is gone through as a whole until addresses stop moving. A pass uses for labels further down what the
	// pass before found. Instructions of variable size only ever grow from pass to pass, so this ends.
	last, work := &assembler{opts: opts}, 0
	for n := range maxPasses {
		a := newAssembler(opts, last, n == 0)
		a.late = n > maxPasses/2
		a.run(lines)
		if a.settled(last) {
			if len(a.errs) > 0 {
				return nil, a.errs
			}
			return a.program(), nil
		}
		if a.fatal {
			return nil, a.errs
		}
		last = a
		if work += a.lines; work > maxWork {
			break
		}
	}
	return nil, ErrorList{{Message: "addresses do not settle: the size of something depends on its own address"}}
}

// MustAssemble is Assemble for source text that is part of the program; it panics where Assemble returns an error.
func MustAssemble(src string, opts Options) *Program {
	p, err := Assemble(src, opts)
	if err != nil {
		panic("BUG: built-in assembly source: " + err.Error())
	}
	return p
}

// assembler is the state of one pass.
type assembler struct {
	opts     Options
	first    bool // nothing is known of labels further down
	late     bool // many passes were not enough: jumps are not compressed any more
	last     *assembler
	code     []byte
	syms     map[string]symbol
	numeric  map[int][]uint64  // addresses of each numeric label, in order
	pcrel    map[uint64]uint64 // address of an instruction with %pcrel_hi: the target
	sizes    []int             // bytes of each instruction of variable size, in order
	macros   map[string]*macro
	calls    int // macro calls so far, for \@
	lines    int // statements so far
	expanded int // bytes that macros and repetitions made so far
	compress []bool
	inCode   bool // the last thing emitted was an instruction
	forward  bool // something that is defined further down was needed
	line     *line
	errs     ErrorList
	fatal    bool // stop: a limit was reached
}

type symbol struct {
	value uint64
	label bool
	here  bool // defined by the source, in this pass
}

func newAssembler(opts Options, last *assembler, first bool) *assembler {
	a := &assembler{
		opts:     opts,
		first:    first,
		last:     last,
		syms:     make(map[string]symbol, len(opts.Symbols)+len(last.syms)),
		numeric:  map[int][]uint64{},
		pcrel:    map[uint64]uint64{},
		macros:   map[string]*macro{},
		compress: []bool{opts.Compress},
	}
	for name, v := range opts.Symbols {
		a.syms[name] = symbol{value: v}
	}
	return a
}

func (a *assembler) run(lines []line) {
	a.block(lines, 0)
}

// settled reports whether the pass was computed from values that are those it found.
func (a *assembler) settled(last *assembler) bool {
	if !a.forward {
		return true
	}
	return !a.first && maps.Equal(a.syms, last.syms) && maps.Equal(a.pcrel, last.pcrel) &&
		maps.EqualFunc(a.numeric, last.numeric, slices.Equal[[]uint64]) && slices.Equal(a.sizes, last.sizes)
}

func (a *assembler) program() *Program {
	p := &Program{Code: a.code, Origin: a.opts.Origin, Symbols: make(map[string]uint64, len(a.syms))}
	for name, s := range a.syms {
		p.Symbols[name] = s.value
	}
	return p
}

func (a *assembler) pc() uint64 { return a.opts.Origin + uint64(len(a.code)) }

// emit appends bytes, within the limit.
func (a *assembler) emit(b ...byte) {
	if len(a.code)+len(b) > maxCode {
		a.stop("the program is larger than %d bytes", maxCode)
		return
	}
	a.code = append(a.code, b...)
}

// fill appends n copies of b.
func (a *assembler) fill(n uint64, b byte) {
	if n > uint64(maxCode-len(a.code)) {
		a.stop("the program is larger than %d bytes", maxCode)
		return
	}
	for range n {
		a.code = append(a.code, b)
	}
}

// grown returns the size that the next thing of variable size gets: what it needs now, or what it had in the pass
// before if that is more.
func (a *assembler) grown(need int) int {
	if n := len(a.sizes); n < len(a.last.sizes) {
		need = max(need, a.last.sizes[n])
	}
	a.sizes = append(a.sizes, need)
	return need
}
