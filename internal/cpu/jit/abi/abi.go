// Package abi is what the translator's engine and its back ends agree on about
// generated code: where it finds things, why it leaves, and how blocks of it
// are linked. It is plain data and knows no host.
package abi

// Layout says where things are, in bytes from the register that generated code
// addresses the VCPU by.
type Layout struct {
	X, F          int32 // the guest's registers
	FFlags        int32
	Loads, Stores int32 // TLBs of entries of 16 bytes: tag and addend
	TLBEntries    int32
	MoreLoads     int32 // TLBs of second level, see SetEntries
	MoreStores    int32
	TLBSets       int32 // a power of two, at most 1 << 14
	DataContext   int32 // is or-ed into tags
	Fetches       int32 // TLB of entries of 32 bytes: tag, two of no interest, and the page's CodeTable
	FetchEntries  int32
	FetchContext  int32 // is or-ed into its tags
	CodeBase      int32 // 8 bytes: the address of the start of code memory
	Left          int32 // the budget
	Slice         int32 // what a slice adds to it
	More          int32 // 32 bits: how many slices code may still begin by itself
	Base          int32 // of the page
	PC            int32
	Stack         int32 // the host's stack pointer when code was entered
	Asks          int32 // 32 bits: how many jumps to other pages find their way before one asks for a link
	Resume        int32 // where a slow instruction's code goes on
	ID            int32
	Reason        int32
	ResHost       int32 // the host's address that LR has reserved in code, or 0
	ResValue      int32 // the hart's
	ResValid      int32 // 8 bits
	ResSize       int32 // 8 bits
	FPOn          int32 // 32 bits: floating point may run inline, in the mode of frm
	FPMoves       int32 // 32 bits: its registers may be loaded, stored and moved inline
	FRM           int32 // 8 bits
	FPStatus      int32 // 32 bits: the host's flags raised inline, when code is left
	FPClean       int32 // 32 bits: what they are to start with, and the host's rounding mode
	FPUsed        int32 // 32 bits: the host's flags are the guest's
	Consts        int32 // of the back end
	SiteTable     int32 // sites, see the back end
	Addends       int32 // Addends of 8 bytes: where pages are, within a block
	Crossed       int32 // 32 bits: 1 if what was not found lies in two pages
	SiteLogs      int32 // where the log of sites is for each kind of data context, in bytes as here, or 0

	System System
}

// System is what the privileged instructions touch: registers of the hart, and
// what the interpreter derives from them (see interp.Layout).
type System struct {
	Priv                                       int32 // a byte
	Mstatus, Mie, Mip                          int32
	Stvec, Sscratch, Sepc, Scause, Stval, Satp int32
	Attention                                  int32 // 32 bits: not zero if the engine must be asked
	Lines                                      int32 // pending interrupts besides Mip
	TimerPending                               int32 // a byte, 1: mip.STIP too
	Contexts                                   int32 // 8 bytes for each kind
	JumpKey                                    int32
	SeenPriv, SeenStatus, FPReady, Direct      int32 // bytes but SeenStatus
	Limit                                      int32 // a trap, which retires nothing, takes one off
	FPIf                                       int32 // what FPOn is if mstatus.FS is Dirty
}

// A TLB's second level has sets of 8 entries. That of an address is
// (address>>12 ^ address>>26) % TLBSets; the entry in it that a context has is
// (context>>3 ^ context>>6) % 8.
const SetEntries = 8

// CodeTable tells where the code of a page's blocks is, in bytes from the start
// of code memory, by the offset of their first instruction in units of 2 bytes.
// Where there is no block, it is the routine that leaves with ExitLookup.
type CodeTable [2048]uint32

// Reasons why code is left.
const (
	ExitSlow      = iota // the instruction ID is the interpreter's
	ExitLink             // to PC, by link ID, that is not patched yet
	ExitLookup           // to PC, whose code the CodeTables do not lead to
	ExitBudget           // before PC: less is left than the block needs
	ExitPause            // as ExitBudget, in a region: to go on, resume
	ExitAcross           // before PC, where an instruction is in two pages: the second is not what it was
	ExitInterpret        // before the instruction ID: the interpreter is to go on there
	NumExits
)

// Addends is how many there are in a Layout.
const Addends = 16

// Link is a jump that can be patched to lead to the block at Target. Places
// are distances from the start of the block's code.
type Link struct {
	Patch  int // of the jump
	Target int32

	// A link to another page leads there only in a context of the fetch TLB:
	// one for which the page before is where it has been. Else it leads to a
	// stub, which leaves with ExitLink or finds its way by the TLB.
	Far     bool
	Context int // of the 32 bits that are compared
	Stub    int // of the jump in the stub
}

// NoContext is none of the fetch TLB.
const NoContext = -1

// Code is what a back end has made of a block, valid until it makes the next.
type Code struct {
	Bytes []byte
	Links []Link
	// Context is where the 32 bits are that a region in several pages compares
	// with the context of fetches, or 0.
	Context int
	// Entries are where a joined region can be entered as after a pause, by the
	// offset of PC.
	Entries map[int32]int
}

// MaxBlocks is how many blocks can be told apart.
const MaxBlocks = 1 << 23
