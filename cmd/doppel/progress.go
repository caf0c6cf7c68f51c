package main

import (
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/cheggaaa/pb/v3"
	"golang.org/x/term"

	"doppel/internal/image/progress"
)

// newProgress shows long work on standard error: bars on a terminal, a line a
// task elsewhere.
func newProgress() progress.Progress {
	if term.IsTerminal(int(os.Stderr.Fd())) {
		return &bars{out: os.Stderr}
	}
	return &lines{out: os.Stderr}
}

const barTemplate = `{{string . "name"}} {{bar . "[" "=" ">" " " "]"}} {{counters .}} {{speed .}} {{rtime . "%s left"}}`

// bars draws one bar at a time: the task that began last. Tasks that run
// beside it are told of when they end.
type bars struct {
	out io.Writer
	mu  sync.Mutex
	cur *barTask
}

type barTask struct {
	owner *bars
	name  string
	bar   *pb.ProgressBar
	shown bool
}

func (b *bars) Start(name string, total int64, unit progress.Unit) progress.Task {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := &barTask{owner: b, name: name}
	t.bar = pb.New64(total).SetTemplateString(barTemplate).SetWriter(b.out).Set("name", fmt.Sprintf("%-28.28s", name))
	t.bar.Set(pb.Bytes, unit == progress.Bytes)
	t.bar.Set(pb.CleanOnFinish, false)
	if b.cur == nil {
		t.show()
	}
	return t
}

func (t *barTask) show() {
	t.owner.cur, t.shown = t, true
	t.bar.Start()
}

func (t *barTask) Advance(n int64) { t.bar.Add64(n) }

func (t *barTask) Finish(err error) {
	t.owner.mu.Lock()
	defer t.owner.mu.Unlock()
	if t.shown {
		t.bar.Finish()
		t.owner.cur = nil
	} else if err == nil {
		fmt.Fprintf(t.owner.out, "%-28.28s done\n", t.name)
	}
	if err != nil {
		fmt.Fprintf(t.owner.out, "%-28.28s failed\n", t.name)
	}
}

// lines prints a line when a task ends.
type lines struct{ out io.Writer }

type lineTask struct {
	out  io.Writer
	name string
}

func (l *lines) Start(name string, _ int64, _ progress.Unit) progress.Task {
	fmt.Fprintf(l.out, "%s ...\n", name)
	return lineTask{l.out, name}
}

func (lineTask) Advance(int64) {}

func (t lineTask) Finish(err error) {
	if err != nil {
		fmt.Fprintf(t.out, "%s: failed\n", t.name)
	}
}
