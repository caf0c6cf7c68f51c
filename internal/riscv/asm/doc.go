// Package asm is a small assembler for RV64 programs that are part of Doppel itself: the embedded guest, and the
// snippets of conformance tests. It takes its instructions from the table of package riscv and accepts the common
// subset of GNU assembler syntax, so that sources also assemble with GNU as, and prose about GNU as applies.
//
// It produces one flat block of bytes at a fixed address. There are no object files, sections or relocations: .text,
// .data and .section are accepted and change nothing, and a label is simply an address.
//
// Any goroutine may call Assemble; calls share nothing that changes. Source text may be hostile: sizes, nesting and
// repetition are limited and no text makes it panic.
//
// What differs from GNU as:
//   - .org takes an absolute address (at or after Options.Origin), not an offset into a section.
//   - la and lla are always AUIPC and ADDI; call and tail always AUIPC and JALR; nothing is relaxed to something
//     shorter. A conditional branch whose target is too far is an error and is not turned into two instructions.
//   - li takes any expression, labels included.
//   - Macro arguments are separated by commas only.
//   - Padding for .align is NOP after an instruction and zero after data, unless a fill value is given.
//   - Every extension of the table is always available, so zext.h, zext.w, sext.b and sext.h are one instruction.
//   - Instructions are compressed only with Options.Compress or after ".option rvc".
package asm
