package platform

// fetchable makes what has been written at one address what is executed at the
// other: the data cache is cleaned to where instructions are fetched from, and
// the instruction cache, which may go by virtual addresses, forgets the other
// address (Arm ARM B2.4.4). What executes it next synchronises itself (ISB).
//
//go:noescape
func fetchable(written, executed, size uintptr)
