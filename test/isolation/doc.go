// Package isolation tests that what a hostile guest does is its own loss: a
// neighbour that computes keeps its share of a processor beside a bomb of
// processes, memory that is eaten up, storms of interrupts and floods of
// requests, and the VMM itself stays as small as it was.
//
// Everything in the process has one processor, so that nothing that the VMM
// does for a guest goes unseen. Figures are compared within a run, and phases
// alternate. Guests are Debian's kernel with busybox and testdata/flood.c.
package isolation
