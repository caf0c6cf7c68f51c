package hart

import "unsafe"

// Layout is where generated code finds what State does not hold, in bytes from
// the start of a Hart: Attention, the levels of the interrupt inputs, and the
// byte that is 1 while stimecmp's interrupt is pending.
var Layout = struct{ Attention, Lines, TimerPending uintptr }{
	unsafe.Offsetof(Hart{}.Attention), unsafe.Offsetof(Hart{}.lines), unsafe.Offsetof(Hart{}.stip),
}
