// Package density tests how many machines fit: that memory which a guest does
// not need leaves the process, that pages which are alike are held once, and
// what happens when the host's memory runs out.
//
// Guests are Debian's kernel with busybox. Figures are compared within a run.
package density
