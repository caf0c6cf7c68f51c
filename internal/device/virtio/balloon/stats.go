package balloon

import (
	"encoding/binary"
	"fmt"

	"doppel/internal/state"
)

// Tag names a statistic (virtio §5.5.6.4).
type Tag uint16

const (
	SwapIn           Tag = iota // bytes
	SwapOut                     // bytes
	MajorFaults                 // a count
	MinorFaults                 // a count
	Free                        // bytes that nothing uses
	Total                       // bytes
	Available                   // bytes that new programs could have without swapping
	Caches                      // bytes that could be had without reading or writing
	HugePages                   // allocations that succeeded
	HugePageFailures            // allocations that failed
	TagCount                    // number of tags that are kept
)

var tagNames = [TagCount]string{"swap in", "swap out", "major faults", "minor faults", "free", "total", "available",
	"caches", "huge pages", "huge page failures"}

func (t Tag) String() string {
	if t < TagCount {
		return tagNames[t]
	}
	return fmt.Sprintf("Tag(%d)", uint16(t))
}

// Stats is what the driver last told of its memory. All of it is optional, and
// none of it need be true.
type Stats struct {
	Has    uint32 // a bit for each tag that was told
	Values [TagCount]uint64
}

// Get returns a figure, and whether it was told.
func (s *Stats) Get(t Tag) (uint64, bool) {
	if t >= TagCount || s.Has>>t&1 == 0 {
		return 0, false
	}
	return s.Values[t], true
}

const (
	statSize = 10
	// maxStats is how much of a buffer is read: later ones repeat tags.
	maxStats = 64 * statSize
)

// parse reads an array of statistics; what is not known is passed over (virtio
// §5.5.6.3.2), and so is half an entry.
func (s *Stats) parse(b []byte) {
	*s = Stats{}
	for ; len(b) >= statSize; b = b[statSize:] {
		if t := Tag(binary.LittleEndian.Uint16(b)); t < TagCount {
			s.Has |= 1 << t
			s.Values[t] = binary.LittleEndian.Uint64(b[2:])
		}
	}
}

func (s *Stats) save(e *state.Encoder) {
	e.U32(s.Has)
	e.U64s(s.Values[:])
}

func (s *Stats) restore(d *state.Decoder) {
	s.Has = d.U32()
	for i := range s.Values {
		s.Values[i] = d.U64()
	}
	if s.Has>>TagCount != 0 {
		d.Failf("statistics %#x, want tags below %d", s.Has, TagCount)
	}
}
