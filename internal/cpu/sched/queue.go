package sched

// queue is a heap of vCPUs, the one with the least virtual time first.
type queue []*VCPU

func (q queue) first() *VCPU {
	if len(q) == 0 {
		return nil
	}
	return q[0]
}

// firstFor is the first one that may run on a processor.
func (q queue) firstFor(index int) *VCPU {
	if len(q) == 0 || q[0].allowed[index] {
		return q.first()
	}
	var best *VCPU
	for _, v := range q {
		if v.allowed[index] && (best == nil || v.vt < best.vt) {
			best = v
		}
	}
	return best
}

func (q *queue) push(v *VCPU) {
	v.place = len(*q)
	*q = append(*q, v)
	q.up(v.place)
}

func (q *queue) remove(v *VCPU) {
	h := *q
	i, last := v.place, len(h)-1
	h.swap(i, last)
	h[last] = nil
	*q = h[:last]
	if i < last {
		q.down(i)
		q.up(i)
	}
}

func (q queue) swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

func (q queue) up(i int) {
	for i > 0 && q[i].vt < q[(i-1)/2].vt {
		q.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
}

func (q queue) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(q); child++ {
			if q[child].vt < q[least].vt {
				least = child
			}
		}
		if least == i {
			return
		}
		q.swap(i, least)
		i = least
	}
}
