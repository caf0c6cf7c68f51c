package top

import (
	"context"
	"time"

	"github.com/gdamore/tcell/v2"
)

// Run shows what ask tells, every interval, until the user quits or ctx ends.
// The screen is ready and stays its owner's. ask is called on a goroutine of
// its own, one call after another; it may take its time, but not for ever.
func Run(ctx context.Context, screen tcell.Screen, interval time.Duration, ask func() *Sample) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	samples := make(chan *Sample)
	go askAll(ctx, interval, ask, samples)
	events := make(chan tcell.Event)
	go screen.ChannelEvents(events, ctx.Done())
	p := newPage()
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-samples:
			p.add(s)
		case e, more := <-events:
			switch e := e.(type) {
			case *tcell.EventKey:
				if p.key(e.Key(), e.Rune()) {
					return
				}
			case *tcell.EventResize:
				screen.Sync()
			case nil:
				if !more { // the terminal is gone
					return
				}
			}
		}
		p.draw(screen)
	}
}

// askAll asks at once, then soon again so that there are rates, then every
// interval.
func askAll(ctx context.Context, interval time.Duration, ask func() *Sample, to chan<- *Sample) {
	const soon = 300 * time.Millisecond
	wait := min(soon, interval)
	for {
		select {
		case to <- ask():
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		wait = interval
	}
}
