package entropy

import (
	"bytes"
	"testing"

	"doppel/internal/state"
)

func draw(s Source) []byte { p := make([]byte, 100); s.Fill(p); return p }

func TestSeedDecides(t *testing.T) {
	if !bytes.Equal(draw(NewSeeded(7)), draw(NewSeeded(7))) {
		t.Error("one seed gave two streams")
	}
	if bytes.Equal(draw(NewSeeded(7)), draw(NewSeeded(8))) {
		t.Error("two seeds gave one stream")
	}
	if bytes.Equal(draw(Host{}), draw(Host{})) {
		t.Error("the host's source repeats")
	}
}

func TestRestoredSourceGoesOn(t *testing.T) {
	a := NewSeeded(1)
	draw(a)
	saved := state.SaveAll([]state.Component{a})
	b := NewSeeded(2)
	if err := state.RestoreAll([]state.Component{b}, saved); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(draw(a), draw(b)) {
		t.Error("a restored source gives other bytes")
	}
}
