package queue

import "fmt"

// Fault is a way in which a driver breaks the rules of virtqueues.
type Fault uint8

const (
	FaultNone           Fault = iota
	FaultAvailIndex           // more buffers made available than the queue holds
	FaultHead                 // head of a chain is not in the descriptor area
	FaultNext                 // next is not in the descriptor area or table
	FaultChainLength          // a loop, or more descriptors than the queue size
	FaultIndirect             // indirect not negotiated, nested, or combined with next
	FaultIndirectLength       // indirect table is empty or not whole descriptors
	FaultZeroLength           // a buffer of no bytes
	FaultMemory               // a buffer or table is not in RAM
	FaultOrder                // device-readable after device-writable
	FaultTooLong              // a chain of more than MaxChainBytes
	FaultEmptyChain           // a chain without buffers
	FaultRequest              // a request that its device type cannot even refuse
	FaultCount                // number of values
)

var faultNames = [FaultCount]string{"none", "available index", "head", "next", "chain length", "indirect",
	"indirect length", "zero length", "memory", "order", "too long", "empty chain", "request"}

func (f Fault) String() string {
	if f < FaultCount {
		return faultNames[f]
	}
	return fmt.Sprintf("fault %d", uint8(f))
}

func (f Fault) Error() string { return "virtqueue: bad " + f.String() }
