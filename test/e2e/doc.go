// Package e2e tests the program as its users meet it: bin/doppel is started
// with real kernels, firmware, file systems and registries, on a terminal or
// on pipes, and what it prints and leaves behind is checked. The library is
// tested directly where the program has no door (state).
//
// A failure prints the command and the whole console, so that it can be
// repeated by hand. Tests with -short are skipped, those of the embedded guest
// and of bad input excepted: they need no kernel. Not more than two machines
// run at once.
//
// DOPPEL_TEST_BINARY names a program to test instead of one built from the
// tree.
package e2e
