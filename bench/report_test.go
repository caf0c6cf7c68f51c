package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sampleReport has two engines, so that every column can be told from others.
func sampleReport() *Report {
	row := func(name string, g Group, instructions float64, ns ...float64) Row {
		r := Row{Program: Program{Name: name, Group: g, What: "what " + name + " does"}, Instructions: instructions}
		for _, n := range ns {
			r.Cells = append(r.Cells, Cell{Samples: []float64{n, n, n}})
		}
		return r
	}
	noisy := row("sort", Integer, 2e6, 1e6, 40e6, 4e6, 8e6)
	noisy.Cells[0].Samples = []float64{0.5e6, 1e6, 1.5e6}
	return &Report{
		Command: "make bench", Date: "2000-01-02", Host: []string{"Host: a machine"}, Load: 0.5, Rounds: 3,
		Emulators: []string{"Doppel interp", "Doppel auto", "QEMU"},
		Rows: []Row{
			noisy,
			row("hash", Integer, 1e6, 1e6, 10e6, 4e6, 8e6),
			row("exec", System, 0, 500, 2e9, 1e9, 4e9),
		},
		Whole: []Whole{
			{What: "start to init", Unit: "s", Values: []float64{3, 1, 2}, Ratio: true},
			{What: "load", Unit: "%", Values: []float64{1, 2, 4}},
		},
		Notes: []string{"Something was not measured."},
	}
}

func TestReport(t *testing.T) {
	var b strings.Builder
	if err := sampleReport().markdown(&b); err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "report.md")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("the report is\n%s\nwant (UPDATE_GOLDEN=1 accepts)\n%s", &b, want)
	}
}

// The numbers of the table, computed by hand.
func TestProgramTable(t *testing.T) {
	cells := map[string][]string{}
	for _, line := range sampleReport().programTable() {
		cells[strings.Trim(line[0], "*")] = line[1:]
	}
	for name, want := range map[string][]string{
		"sort": {"1.00 ms ±25%", "8.00 ms", "40.0 ms", "0.20", "40.0", "50.0", "4.00 ms", "2.00", "4.00", "500"},
		"exec": {"500 ns", "4.00 s", "2.00 s", "2.00", "4000000", "", "1.00 s", "4.00", "2000000", ""},
		// sqrt(0.2*0.8), sqrt(40*10), sqrt(50*100); sqrt(2*2), sqrt(4*4), sqrt(500*250).
		"integer, geometric mean":   {"", "", "", "**0.40**", "**20.0**", "**70.7**", "", "**2.00**", "**4.00**", "**354**"},
		"CPU-bound, geometric mean": {"", "", "", "**0.40**", "**20.0**", "**70.7**", "", "**2.00**", "**4.00**", "**354**"},
	} {
		got, ok := cells[name]
		if !ok {
			t.Errorf("the table has no line %s", name)
			continue
		}
		for i, w := range want {
			if got[i] != w {
				t.Errorf("%s: column %d is %q, want %q", name, i+1, got[i], w)
			}
		}
	}
}

// What the interpreter ran faster is told.
func TestSlower(t *testing.T) {
	r := sampleReport()
	if got := r.slower(); len(got) != 1 || got[0] != "Programs slower on Doppel auto than interpreted: none." {
		t.Errorf("got %q", got)
	}
	r.Rows[1].Cells[2].Samples = []float64{20e6, 20e6, 20e6}
	if got := r.slower(); len(got) != 1 || got[0] != "Programs slower on Doppel auto than interpreted: hash (speed 0.50)." {
		t.Errorf("got %q", got)
	}
	r.Emulators[0] = "Doppel other"
	if got := r.slower(); got != nil {
		t.Errorf("got %q without an interpreter", got)
	}
}

func TestPlainTable(t *testing.T) {
	var b strings.Builder
	table{{"a", "bb", "what"}, {"**long**", "µ", "x"}}.plain(&b)
	if want := "a     bb  what\nlong   µ  x\n\n"; b.String() != want {
		t.Errorf("the table is %q, want %q", b.String(), want)
	}
}
