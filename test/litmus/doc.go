// Package litmus runs small programs on several harts at once and looks for
// outcomes that the memory model RVWMO forbids (unpriv §17). Weak outcomes that
// it allows may or may not be seen: nothing is asked of them.
package litmus
