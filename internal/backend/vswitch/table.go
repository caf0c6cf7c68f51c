package vswitch

import "time"

// Bounds of the table of addresses.
const (
	maxLearned = 1024 // addresses that a port may have learned
	maxAge     = 5 * time.Minute
)

type key struct {
	mac  MAC
	vlan VLAN
}

type entry struct {
	port *Port
	seen time.Time
}

// table knows at which port an address is. The switch's lock guards it.
type table struct {
	learned map[key]entry
	fixed   map[MAC]*Port // static addresses: in all VLANs, and never learned
	count   map[*Port]int // of what is learned
	swept   time.Time
	aged    uint64 // entries that were too old
}

func newTable() table {
	return table{learned: map[key]entry{}, fixed: map[MAC]*Port{}, count: map[*Port]int{}}
}

// learn notes that an address was seen at a port, false if the address is
// fixed at another one. A port that has learned its fill learns no more until
// some of it has aged: its frames pass, and those to it are flooded.
func (t *table) learn(m MAC, v VLAN, p *Port, now time.Time) bool {
	if fixed := t.fixed[m]; fixed != nil {
		return fixed == p
	}
	k := key{m, v}
	old, known := t.learned[k]
	if known && old.port == p {
		old.seen = now
		t.learned[k] = old
		return true
	}
	if t.count[p] >= maxLearned {
		t.sweep(now)
		if t.count[p] >= maxLearned {
			return true
		}
	}
	if known {
		t.count[old.port]--
	}
	t.learned[k] = entry{p, now}
	t.count[p]++
	return true
}

// find returns the port of an address, nil if it is not known.
func (t *table) find(m MAC, v VLAN, now time.Time) *Port {
	if p := t.fixed[m]; p != nil {
		return p
	}
	e, ok := t.learned[key{m, v}]
	if !ok || now.Sub(e.seen) > maxAge {
		return nil
	}
	return e.port
}

// sweep removes what is too old, at most once a second: who fills the table
// shall not have it walked for each frame.
func (t *table) sweep(now time.Time) {
	if now.Sub(t.swept) < time.Second {
		return
	}
	t.swept = now
	for k, e := range t.learned {
		if now.Sub(e.seen) > maxAge {
			delete(t.learned, k)
			t.count[e.port]--
			t.aged++
		}
	}
}

// forget removes all that is known of a port.
func (t *table) forget(p *Port) {
	for k, e := range t.learned {
		if e.port == p {
			delete(t.learned, k)
		}
	}
	for m, o := range t.fixed {
		if o == p {
			delete(t.fixed, m)
		}
	}
	delete(t.count, p)
}
