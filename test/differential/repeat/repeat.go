// Package repeat says how much a randomised test does and how to do it again:
// the seed is printed, and two environment variables set it and the amount.
package repeat

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
)

// Seed is the seed of this run: the one that DOPPEL_SEED gives, or a new one.
func Seed(t *testing.T) uint64 {
	s := uint64(time.Now().UnixNano())
	if text := os.Getenv("DOPPEL_SEED"); text != "" {
		v, err := strconv.ParseUint(text, 0, 64)
		if err != nil {
			t.Fatalf("DOPPEL_SEED: %v", err)
		}
		s = v
	}
	t.Logf("DOPPEL_SEED=%d repeats this run", s)
	// A run that does not end is killed, and says nothing more.
	fmt.Fprintf(os.Stderr, "%s: DOPPEL_SEED=%d repeats this run\n", t.Name(), s)
	return s
}

// Count is how many programs a run compares: usual, or few with -short;
// DOPPEL_PROGRAMS asks for another number.
func Count(t *testing.T, usual, few int) int {
	n := usual
	if testing.Short() {
		n = few
	}
	if text := os.Getenv("DOPPEL_PROGRAMS"); text != "" {
		v, err := strconv.Atoi(text)
		if err != nil || v < 1 {
			t.Fatalf("DOPPEL_PROGRAMS: %q is not a number from 1", text)
		}
		n = v
	}
	return n
}
