// Package soak lets eight machines live on one host for a while, with random
// work, pauses, resets, saves and restores, changes of their shares, panics and
// ends. All that they work out has to be right, and nothing may be left of them:
// no memory, no goroutine and no processor that is taken.
//
// A few seconds of it are a test; DOPPEL_SOAK_TIME makes it longer (make soak).
// DOPPEL_SOAK_SEED repeats its choices, though not their timing.
package soak
