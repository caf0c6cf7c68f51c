// Package control lets one command look into a machine that another runs: a
// Unix socket for each machine, which answers a request with one object in
// JSON. It knows no machines; what to answer is the caller's.
//
// A client sends {"op":"stats"}, {"op":"balloon","size":N} or
// {"op":"stop","seconds":N}, and a newline, gets {"stats":{...}} or {"error":"..."} and a newline, and the connection
// ends. The socket and its
// folder are their owner's only, and the server asks the host who calls.
//
// Threads: a Server has a goroutine that accepts and one for each of at most
// maxClients connections, which end by themselves within ioLimit. The functions
// of the machine are called on these.
package control

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"doppel/internal/platform"
)

// Stats is what a machine tells of itself.
type Stats struct {
	Name   string `json:"name"`
	PID    int    `json:"pid"`
	Status string `json:"status"`
	Reason string `json:"reason,omitempty"` // why the host has paused it
	Engine string `json:"engine"`
	Memory Memory `json:"memory"`
	Host   Host   `json:"host_memory"`
	CPUs   []CPU  `json:"cpus"`
	// Devices is how long workers of devices had a processor of the host, while
	// the machine shared them with others.
	Devices uint64 `json:"devices_running_ns"`

	Weight   int       `json:"cpu_weight"`
	Cap      string    `json:"cpu_cap"` // of processor time; empty: none
	Disks    []Disk    `json:"disks"`
	Networks []Network `json:"networks"`
	Captures []Capture `json:"captures,omitempty"` // of all machines of the process

	// WakeUps are how long processors took to run for a timer that was due.
	WakeUps []Bucket `json:"wake_ups"`

	// Of machines that doppel up runs: the file that describes them.
	File string `json:"file,omitempty"`
	// Where the machine can be reached.
	Addresses []string `json:"addresses,omitempty"`
	Published []string `json:"published,omitempty"`
	Console   string   `json:"console,omitempty"`

	Socket string `json:"-"` // where it was asked
}

// Memory is what a machine's memory takes of the host, in bytes.
type Memory struct {
	Size     uint64 `json:"size"`     // as the guest sees it
	Resident uint64 `json:"resident"` // in the host's memory, for this machine alone
	Swapped  uint64 `json:"swapped"`
	Shared   uint64 `json:"shared"` // alike in other machines of the process, and held once
	Zero     uint64 `json:"zero"`   // never touched or given back

	Balloon   uint64 `json:"balloon"`        // given by the guest
	Target    uint64 `json:"balloon_target"` // asked of the guest
	Returned  uint64 `json:"returned"`       // through the balloon, in all
	Reported  uint64 `json:"reported"`       // as free pages, in all
	Free      uint64 `json:"guest_free"`     // as the guest last told
	Available uint64 `json:"guest_available"`
}

// Bucket counts times of less than Below nanoseconds, and not less than half
// of it.
type Bucket struct {
	Below uint64 `json:"below_ns"`
	Count uint64 `json:"count"`
}

// Host is what the memory of all machines of a process takes of the host, in
// bytes.
type Host struct {
	Limit    uint64 `json:"limit"`   // 0: what the host has
	Counted  uint64 `json:"counted"` // towards the limit: never less than machines take
	Size     uint64 `json:"size"`
	Resident uint64 `json:"resident"` // each machine's own, and what they share
	Swapped  uint64 `json:"swapped"`
	Shared   uint64 `json:"shared"`
	Copies   uint64 `json:"copies"` // of resident, for what they share
	Zero     uint64 `json:"zero"`
	Balloons uint64 `json:"balloons"`
	Saved    uint64 `json:"saved"` // size less what is in memory or on swap
}

// Capture is a file that frames are copied to.
type Capture struct {
	File   string `json:"file"`
	Bytes  uint64 `json:"bytes"`
	Limit  uint64 `json:"limit"`
	Missed uint64 `json:"missed"` // frames that are not in it
}

// Machine is what a server answers with. Its functions are called on the
// server's goroutines.
type Machine struct {
	Stats      func() Stats
	SetBalloon func(size uint64) error // in bytes
	// Stop asks for the orderly end of all machines of the process, within a
	// time, and does not wait for it.
	Stop func(within time.Duration)
}

// CPU is what a machine tells of a vCPU. Counts are the translator's own:
// their names may change from version to version.
type CPU struct {
	Instructions uint64            `json:"instructions"` // as of its last exit
	Running      uint64            `json:"running_ns"`   // had a processor of the host
	Waiting      uint64            `json:"waiting_ns"`   // had none though it could run: the guest's steal time
	Exits        map[string]uint64 `json:"exits"`        // from the engine to the machine, by reason
	Counts       map[string]uint64 `json:"counts"`       // zero ones may be left out
}

type request struct {
	Op   string `json:"op"`
	Size uint64 `json:"size,omitempty"` // of the balloon
	// Seconds that stopping may take.
	Seconds uint64 `json:"seconds,omitempty"`
}

type response struct {
	Error string `json:"error,omitempty"`
	Stats *Stats `json:"stats,omitempty"`
}

const (
	opStats     = "stats"
	opBalloon   = "balloon"
	opStop      = "stop"
	maxStop     = 3600 // seconds
	maxRequest  = 4 << 10
	maxResponse = 4 << 20
	maxClients  = 8
	ioLimit     = 5 * time.Second
	suffix      = ".sock"
)

// Dir is the folder of sockets, made if it is not there: doppel in
// $XDG_RUNTIME_DIR, or a folder of the user's in the one for temporary files.
func Dir() (string, error) {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("doppel-%d", os.Geteuid()))
	if run := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(run) {
		dir = filepath.Join(run, "doppel")
	}
	if err := platform.PrivateFolder(dir); err != nil {
		return "", fmt.Errorf("control sockets: %w; remove it or set XDG_RUNTIME_DIR", err)
	}
	return dir, nil
}

// Path is where the socket of this process's n-th machine (from 0) is unless
// told otherwise.
func Path(n int) (string, error) {
	dir, err := Dir()
	name := strconv.Itoa(os.Getpid())
	if n > 0 {
		name += "-" + strconv.Itoa(n)
	}
	return filepath.Join(dir, name+suffix), err
}

// pidOf is the process that a socket of Dir belongs to, 0 for none.
func pidOf(path string) int {
	name, ok := strings.CutSuffix(filepath.Base(path), suffix)
	process, machine, several := strings.Cut(name, "-")
	pid, err := strconv.Atoi(process)
	if !ok || err != nil || pid <= 0 {
		return 0
	}
	if n, err := strconv.Atoi(machine); several && (err != nil || n <= 0) {
		return 0
	}
	return pid
}

// reason is what the host said, without the names that net and os put around
// it.
func reason(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}
