// Package conformance holds programs of our own that check every instruction
// and the rules of the privileged architecture, on every engine.
//
// cases/*.txt are instructions with operands and results, a line each, run in
// M-mode at the start of RAM and in S-mode where a kernel starts. programs/*.asm
// are whole programs for what a line cannot say: traps, privileges, address
// translation. Both end through the test finisher, and with HTIF's tohost, as
// public test suites do.
//
// Tests hold that every instruction of the table is executed by some case.
package conformance
