package jit

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestEnterFrame: the frame that generated code has for the guest's calls is as
// large as it must be. Package vet wants a number there, and no constant.
func TestEnterFrame(t *testing.T) {
	code, err := os.ReadFile("enter_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("TEXT ·enter(SB), 0, $%d-24", enterFrame); !strings.Contains(string(code), want) {
		t.Errorf("enter_amd64.s lacks %q", want)
	}
}
