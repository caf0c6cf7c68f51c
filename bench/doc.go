// Command bench measures Doppel beside QEMU and beside the host itself, in one run.
//
// It compiles the programs under bench/programs for riscv64 and for the host, boots one kernel and one initramfs under
// each machine, runs the programs alternately for several rounds, and prints medians, ratios and geometric means. It
// also measures instruction rate, idle load and the time to start. Results go to bench/RESULTS.md.
//
// Beside its own programs it runs a compiler and Python out of Debian's packages, fetched to the user's cache, of one
// version on the host and in the guests. Cold code, which is written and run a few times, is measured to see that no
// program is slower translated than interpreted; it is no part of the mean over all.
//
// Last come two threads on two processors against one thread, on each machine and on the host (-threads: only these).
//
// A program whose checksum differs between the host, Doppel and QEMU is a failure, not a speed. Nothing here compares a
// time with a limit: machines differ, ratios of one run do not.
package main
