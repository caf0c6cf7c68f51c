// Package sevensteps is a lesson: the seven steps by which a virtual machine
// monitor grows, from a kernel that only computes to one that runs on several
// virtual processors. For each step there is a guest in commented assembly, a
// page of text, and a run of the guest with a trace of its exits.
//
// README.md in this folder is the lesson; doppel lab runs it.
package sevensteps

import (
	"embed"
	"fmt"
	"io"
	"strconv"
	"strings"
)

//go:embed README.md */guest.s */README.md
var files embed.FS

// Step is one of the seven.
type Step struct {
	Number int
	Title  string
	Params []Param // what a reader can change

	folder, guest string
	run           func(*session) error
}

// Steps returns them in order.
func Steps() []Step {
	return []Step{
		{1, "a kernel alone: instructions of the user ISA", []Param{
			{"limit", "LIMIT", "1000000", "the guest adds the numbers from 1 to this one", number{1, 1 << 31}},
		}, "1-kernel", "1-kernel", (*session).alone},
		{2, "timer interrupts of the guest's own", []Param{
			{"period", "PERIOD", "10ms", "time between two interrupts", span{10e3, 1e9}},
			{"ticks", "TICKS", "5", "how many interrupts", number{1, 100_000}},
		}, "2-timer", "2-timer", (*session).alone},
		{3, "one user thread, whose system calls go to the guest's kernel", []Param{
			{"hellos", "HELLOS", "2", "how often the thread calls", number{0, 100_000}},
			{"peek", "PEEK", "1", "1: at last, the thread reads the kernel's memory", number{0, 1}},
		}, "3-user", "3-user", (*session).alone},
		{4, "several user threads, which the guest's kernel schedules", []Param{
			{"threads", "THREADS", "3", "how many threads", number{1, 1000}},
			{"slice", "SLICE", "5ms", "how long a thread runs at once", span{100e3, 1e9}},
			{"rounds", "ROUNDS", "3", "how often each thread runs", number{1, 10_000}},
		}, "4-threads", "4-threads", (*session).alone},
		{5, "several machines on one processor: the VMM's run queue", []Param{
			{"weights", "", "1,2,4", "a machine for each number, which is its share", list{16, 1, 10_000}},
			{"time", "", "500ms", "how long they run", span{10e6, 60e9}},
		}, "5-machines", "5-machines", (*session).timeShared},
		{6, "several physical processors", []Param{
			{"machines", "", "4", "how many machines", number{1, 16}},
			{"time", "", "400ms", "how long they run, on one processor and then on all", span{10e6, 60e9}},
		}, "6-processors", "5-machines", (*session).manyProcessors},
		{7, "several virtual processors: a guest with a lock", []Param{
			{"harts", "HARTS", "4", "how many virtual processors", number{1, 64}},
			{"count", "COUNT", "1000", "how often each adds 1", number{1, 1 << 31}},
			{"lock", "LOCK", "1", "0: without the lock", number{0, 1}},
		}, "7-smp", "7-smp", (*session).alone},
	}
}

// Find returns the step with a number.
func Find(n int) (Step, error) {
	for _, s := range Steps() {
		if s.Number == n {
			return s, nil
		}
	}
	return Step{}, fmt.Errorf("there is no step %d: the steps are 1 to %d", n, len(Steps()))
}

// Lesson is the page that leads through all steps.
func Lesson() string { return read("README.md") }

// Text is the step's own page.
func (s *Step) Text() string { return read(s.folder + "/README.md") }

// Source is the guest's.
func (s *Step) Source() string { return read(s.guest + "/guest.s") }

func read(path string) string {
	b, err := files.ReadFile(path)
	if err != nil {
		panic("BUG: embedded file: " + err.Error())
	}
	return string(b)
}

// List prints the steps and what can be changed in each.
func List(w io.Writer) error {
	var sb strings.Builder
	for _, s := range Steps() {
		fmt.Fprintf(&sb, "%d  %s\n", s.Number, s.Title)
		for _, p := range s.Params {
			fmt.Fprintf(&sb, "     %-18s %s\n", p.Name+"="+p.Default, p.Help)
		}
	}
	sb.WriteString("\ndoppel lab 1 runs the first, doppel lab 1 --set limit=10 with something changed.\n")
	sb.WriteString("Does a fork bomb in step 4 hurt the VMM? doppel lab 4 --bomb measures it.\n")
	_, err := io.WriteString(w, sb.String())
	return err
}

func (s *Step) String() string { return "step " + strconv.Itoa(s.Number) + ": " + s.Title }
