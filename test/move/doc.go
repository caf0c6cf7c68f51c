// Package move saves a running machine at random points, restores it into a
// new one, and lets it go on: the same state mechanism that snapshots and
// migration use, under a kernel that boots.
package move
