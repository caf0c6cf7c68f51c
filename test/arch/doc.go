// Package arch holds tests of the source tree itself: which package may import
// which, where raw system calls and unsafe code live, that enums have names,
// and that nothing of one machine has slipped in. A rule that is not checked
// here or by a tool is not a rule.
package arch
