package fdt

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func tree() *Node {
	root := &Node{}
	root.U32("#address-cells", 2).U32("#size-cells", 2).Str("compatible", "a,b", "c")
	m := root.Child("memory@%x", 0x80000000)
	m.Str("device_type", "memory").U64("reg", 0x80000000, 0x1000000)
	m.Child("inner").Flag("dma-coherent").Bytes("seed", []byte{1, 2, 3})
	root.Add(nil)
	return root
}

func TestEncodeHeader(t *testing.T) {
	b := Encode(tree())
	if len(b) < headerSize {
		t.Fatal("empty tree")
	}
	if got := string(b[:4]); got != "\xd0\x0d\xfe\xed" {
		t.Errorf("magic %x", got)
	}
	if n := strings.Count(string(b), "compatible"); n != 1 {
		t.Errorf("the string block holds compatible %d times, want once", n)
	}
}

// TestDtcReads lets the reference compiler read the tree back.
func TestDtcReads(t *testing.T) {
	dtc, err := exec.LookPath("dtc")
	if err != nil {
		t.Skip("dtc is missing: apt-get install device-tree-compiler")
	}
	file := filepath.Join(t.TempDir(), "t.dtb")
	if err := os.WriteFile(file, Encode(tree()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(dtc, "-I", "dtb", "-O", "dts", file).CombinedOutput()
	if err != nil {
		t.Fatalf("dtc: %v\n%s", err, out)
	}
	for _, want := range []string{
		`compatible = "a,b\0c";`, "memory@80000000 {", `reg = <0x00 0x80000000 0x00 0x1000000>;`,
		"dma-coherent;", "seed = [01 02 03];",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("dtc shows no %q in\n%s", want, out)
		}
	}
}
