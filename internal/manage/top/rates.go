// Package top turns what machines tell of themselves, once a second or so,
// into a table of rates, and shows it in a terminal. It asks no machine by
// itself: who asks is the caller's.
//
// Threads: Run's caller draws and takes keys; one goroutine asks. Neither
// shares anything with the other but the samples that it hands over.
package top

import (
	"fmt"
	"strings"
	"time"

	"doppel/internal/manage/control"
)

// Sample is what all machines have told at a time.
type Sample struct {
	At       time.Time
	Machines []*control.Stats
	Err      error // that some did not answer
}

// Row is a line of the table: a machine, or one of its vCPUs.
type Row struct {
	Name, Status, Reason string // why the host has paused it
	PID, CPUs            int
	VCPU                 bool // one of the machine above

	Weight   int
	Cap      string
	Busy     float64 // processors that it had
	Steal    float64 // processors that it would have had, had nobody else wanted them
	Insns    float64 // a second
	Exits    map[string]float64
	Code     uint64 // bytes of translated code made, in all
	CodeRate float64

	Memory, Resident uint64
	DiskRead         float64 // bytes a second
	DiskWrite        float64
	NetReceive       float64
	NetSend          float64
	fresh            bool // there is no earlier sample: rates are not known
}

// key tells machines apart from one sample to the next.
type key struct {
	pid  int
	name string
}

// Rows compares two samples; the earlier may be nil. With vcpus each machine
// is followed by its vCPUs.
func Rows(before, now *Sample, vcpus bool) []Row {
	old := map[key]*control.Stats{}
	seconds := 0.0
	if before != nil {
		seconds = now.At.Sub(before.At).Seconds()
		for _, s := range before.Machines {
			old[key{s.PID, s.Name}] = s
		}
	}
	var rows []Row
	for _, s := range now.Machines {
		was := old[key{s.PID, s.Name}]
		if seconds <= 0 || !continues(was, s) {
			was = nil
		}
		m, cpus := machineRows(was, s, seconds)
		rows = append(rows, m)
		if vcpus {
			rows = append(rows, cpus...)
		}
	}
	return rows
}

// continues tells whether two samples are of one machine: not of two of which
// the second has the name and the process of the first.
func continues(was, s *control.Stats) bool {
	if was == nil || len(was.CPUs) != len(s.CPUs) {
		return false
	}
	for i, c := range s.CPUs {
		if c.Instructions < was.CPUs[i].Instructions || c.Running < was.CPUs[i].Running {
			return false
		}
	}
	return true
}

// rate is the growth of a counter in a second.
func rate(was, now uint64, seconds float64) float64 {
	if now < was || seconds <= 0 {
		return 0
	}
	return float64(now-was) / seconds
}

const bytesOfCode = "bytes of code"

func machineRows(was, s *control.Stats, seconds float64) (m Row, cpus []Row) {
	m = Row{
		Name: s.Name, Status: s.Status, Reason: s.Reason, PID: s.PID, CPUs: len(s.CPUs), Weight: s.Weight, Cap: s.Cap,
		Exits: map[string]float64{}, Memory: s.Memory.Size, Resident: s.Memory.Resident, fresh: was == nil,
	}
	if was == nil {
		seconds = 0 // no rates
	}
	for i, c := range s.CPUs {
		var old control.CPU
		if was != nil {
			old = was.CPUs[i]
		}
		r := cpuRow(i, old, c, seconds)
		r.fresh = m.fresh
		m.Busy, m.Steal, m.Insns = m.Busy+r.Busy, m.Steal+r.Steal, m.Insns+r.Insns
		m.Code, m.CodeRate = m.Code+r.Code, m.CodeRate+r.CodeRate
		for name, n := range r.Exits {
			m.Exits[name] += n
		}
		cpus = append(cpus, r)
	}
	m.devices(was, s, seconds)
	return m, cpus
}

func cpuRow(i int, old, c control.CPU, seconds float64) Row {
	const ns = 1e9
	r := Row{
		Name: fmt.Sprintf("cpu%d", i), VCPU: true, Exits: map[string]float64{},
		Busy: rate(old.Running, c.Running, seconds) / ns, Steal: rate(old.Waiting, c.Waiting, seconds) / ns,
		Insns: rate(old.Instructions, c.Instructions, seconds),
		Code:  c.Counts[bytesOfCode], CodeRate: rate(old.Counts[bytesOfCode], c.Counts[bytesOfCode], seconds),
	}
	for name, n := range c.Exits {
		r.Exits[name] = rate(old.Exits[name], n, seconds)
	}
	return r
}

// devices sums what went through disks and networks.
func (r *Row) devices(was, s *control.Stats, seconds float64) {
	if was == nil {
		return
	}
	for i, d := range s.Disks {
		if i < len(was.Disks) {
			r.DiskRead += rate(was.Disks[i].ReadBytes, d.ReadBytes, seconds)
			r.DiskWrite += rate(was.Disks[i].WriteBytes, d.WriteBytes, seconds)
		}
	}
	for i, n := range s.Networks {
		if i < len(was.Networks) {
			r.NetReceive += rate(was.Networks[i].ReceivedBytes, n.ReceivedBytes, seconds)
			r.NetSend += rate(was.Networks[i].SentBytes, n.SentBytes, seconds)
		}
	}
}

// short writes a number in few characters: 1.2k, 34M.
func short(v float64) string { return scaled(v, 1000, "kMGT") }

// size writes a number of bytes in few characters, in powers of 1024.
func size(v float64) string { return scaled(v, 1024, "KMGT") }

func scaled(v, base float64, units string) string {
	unit := ""
	for ; v >= base-.5 && units != ""; units = units[1:] {
		v, unit = v/base, units[:1]
	}
	if unit != "" && v < 9.95 {
		return fmt.Sprintf("%.1f%s", v, unit)
	}
	return fmt.Sprintf("%.0f%s", v, unit)
}

// quiet is a rate of bytes, or nothing where nothing goes on.
func quiet(v float64) string {
	if v < 1 {
		return "-"
	}
	return size(v)
}

func percent(v float64) string {
	if v != 0 && v < 0.0995 {
		return fmt.Sprintf("%.1f", 100*v)
	}
	return fmt.Sprintf("%.0f", 100*v)
}

// plain is a text that does not play with the terminal.
func plain(s string) string { return strings.ToValidUTF8(strings.Map(printable, s), "?") }
