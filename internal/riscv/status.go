package riscv

// Fields of mstatus, for RV64 (priv §3.1.6). Those named Shift are the bit number of a field whose mask has no suffix.
const (
	MstatusSIE   uint64 = 1 << 1
	MstatusMIE   uint64 = 1 << 3
	MstatusSPIE  uint64 = 1 << 5
	MstatusUBE   uint64 = 1 << 6
	MstatusMPIE  uint64 = 1 << 7
	MstatusSPP   uint64 = 1 << 8
	MstatusVS    uint64 = 3 << 9
	MstatusMPP   uint64 = 3 << 11
	MstatusFS    uint64 = 3 << 13
	MstatusXS    uint64 = 3 << 15
	MstatusMPRV  uint64 = 1 << 17
	MstatusSUM   uint64 = 1 << 18
	MstatusMXR   uint64 = 1 << 19
	MstatusTVM   uint64 = 1 << 20
	MstatusTW    uint64 = 1 << 21
	MstatusTSR   uint64 = 1 << 22
	MstatusSPELP uint64 = 1 << 23
	MstatusSDT   uint64 = 1 << 24
	MstatusUXL   uint64 = 3 << 32
	MstatusSXL   uint64 = 3 << 34
	MstatusSBE   uint64 = 1 << 36
	MstatusMBE   uint64 = 1 << 37
	MstatusGVA   uint64 = 1 << 38
	MstatusMPV   uint64 = 1 << 39
	MstatusMPELP uint64 = 1 << 41
	MstatusMDT   uint64 = 1 << 42
	MstatusSD    uint64 = 1 << 63

	MstatusSPPShift = 8
	MstatusVSShift  = 9
	MstatusMPPShift = 11
	MstatusFSShift  = 13
	MstatusXSShift  = 15
	MstatusUXLShift = 32
	MstatusSXLShift = 34
)

// SstatusMask is the part of mstatus that sstatus shows (priv §12.1.1), of every extension; a hart masks further by
// what it has.
const SstatusMask = MstatusSIE | MstatusSPIE | MstatusUBE | MstatusSPP | MstatusVS | MstatusFS | MstatusXS |
	MstatusSUM | MstatusMXR | MstatusSPELP | MstatusSDT | MstatusUXL | MstatusSD

// Values of FS, VS and XS (priv §3.1.6.6).
const (
	ContextOff     = 0
	ContextInitial = 1
	ContextClean   = 2
	ContextDirty   = 3
)

// XL64 is the value of MXL, SXL and UXL for 64 bits (priv §3.1.1).
const XL64 = 2

// MisaMXLShift is the bit number of the field MXL of misa; extensions are bits 0 (A) to 25 (Z) (priv §3.1.1).
const MisaMXLShift = 62

// Bits of mip, mie, sip, sie and mideleg: 1 << code of the interrupt (priv §3.1.9).
const (
	MipSSIP   uint64 = 1 << 1
	MipMSIP   uint64 = 1 << 3
	MipSTIP   uint64 = 1 << 5
	MipMTIP   uint64 = 1 << 7
	MipSEIP   uint64 = 1 << 9
	MipMEIP   uint64 = 1 << 11
	MipLCOFIP uint64 = 1 << 13
)

// Bits of mcounteren, scounteren and mcountinhibit (priv §3.1.11).
const (
	CounterCY uint64 = 1 << 0
	CounterTM uint64 = 1 << 1 // not in mcountinhibit
	CounterIR uint64 = 1 << 2
)

// Fields of menvcfg; senvcfg has FIOM, LPE, SSE, CBIE, CBCFE, CBZE and PMM at the same places (priv §3.1.18).
const (
	EnvcfgFIOM   uint64 = 1 << 0
	EnvcfgLPE    uint64 = 1 << 2
	EnvcfgSSE    uint64 = 1 << 3
	EnvcfgCBIE   uint64 = 3 << 4
	EnvcfgCBCFE  uint64 = 1 << 6
	EnvcfgCBZE   uint64 = 1 << 7
	EnvcfgPMM    uint64 = 3 << 32
	MenvcfgDTE   uint64 = 1 << 59
	MenvcfgCDE   uint64 = 1 << 60
	MenvcfgADUE  uint64 = 1 << 61
	MenvcfgPBMTE uint64 = 1 << 62
	MenvcfgSTCE  uint64 = 1 << 63

	EnvcfgCBIEShift = 4
)

// Values of CBIE: what CBO_INVAL does in the less privileged mode.
const (
	CBIEIllegal    = 0
	CBIEFlush      = 1
	CBIEInvalidate = 3
)

// Bits of mstateen0 and sstateen0 (Smstateen).
const (
	Stateen0C      uint64 = 1 << 0
	Stateen0FCSR   uint64 = 1 << 1
	Stateen0JVT    uint64 = 1 << 2
	Stateen0IMSIC  uint64 = 1 << 58
	Stateen0AIA    uint64 = 1 << 59
	Stateen0CSRIND uint64 = 1 << 60
	Stateen0ENVCFG uint64 = 1 << 62
	Stateen0SE     uint64 = 1 << 63
)

// Fields of mseccfg (priv §3.1.19; USEED and SSEED: Zkr).
const (
	MseccfgMML   uint64 = 1 << 0
	MseccfgMMWP  uint64 = 1 << 1
	MseccfgRLB   uint64 = 1 << 2
	MseccfgUSEED uint64 = 1 << 8
	MseccfgSSEED uint64 = 1 << 9
)

// Fields of mhpmevent3 to 31 (Sscofpmf).
const (
	MhpmeventVUINH uint64 = 1 << 58
	MhpmeventVSINH uint64 = 1 << 59
	MhpmeventUINH  uint64 = 1 << 60
	MhpmeventSINH  uint64 = 1 << 61
	MhpmeventMINH  uint64 = 1 << 62
	MhpmeventOF    uint64 = 1 << 63
)

// Fields of satp (priv §12.1.11).
const (
	SatpPPN       uint64 = 1<<44 - 1
	SatpASIDShift        = 44
	SatpASID      uint64 = 0xffff << SatpASIDShift
	SatpModeShift        = 60
	SatpMode      uint64 = 0xf << SatpModeShift
)

// Values of MODE of satp.
const (
	SatpBare = 0
	SatpSv39 = 8
	SatpSv48 = 9
	SatpSv57 = 10
)

// Fields of a PTE of Sv39, Sv48 and Sv57 (priv §12.4.1; N: Svnapot, PBMT: Svpbmt).
const (
	PTEV        uint64 = 1 << 0
	PTER        uint64 = 1 << 1
	PTEW        uint64 = 1 << 2
	PTEX        uint64 = 1 << 3
	PTEU        uint64 = 1 << 4
	PTEG        uint64 = 1 << 5
	PTEA        uint64 = 1 << 6
	PTED        uint64 = 1 << 7
	PTERSW      uint64 = 3 << 8
	PTEPPNShift        = 10
	PTEPPN      uint64 = (1<<44 - 1) << PTEPPNShift
	PTEReserved uint64 = 0x7f << 54
	PTEPBMT     uint64 = 3 << 61
	PTEN        uint64 = 1 << 63

	PTEPBMTShift = 61
)

// Fields of one byte of pmpcfg (priv §3.7.1).
const (
	PMPR      uint8 = 1 << 0
	PMPW      uint8 = 1 << 1
	PMPX      uint8 = 1 << 2
	PMPA      uint8 = 3 << 3
	PMPL      uint8 = 1 << 7
	PMPAShift       = 3
)

// Values of A of pmpcfg.
const (
	PMPOff   = 0
	PMPTOR   = 1
	PMPNA4   = 2
	PMPNAPOT = 3
)

// Bits of fcsr and fflags (unpriv §20.2).
const (
	FflagsNX uint64 = 1 << 0 // inexact
	FflagsUF uint64 = 1 << 1 // underflow
	FflagsOF uint64 = 1 << 2 // overflow
	FflagsDZ uint64 = 1 << 3 // divide by zero
	FflagsNV uint64 = 1 << 4 // invalid operation
	Fflags   uint64 = 31

	FcsrFRMShift        = 5
	FcsrFRM      uint64 = 7 << FcsrFRMShift
)

// Modes of mtvec and stvec (priv §3.1.7).
const (
	TvecMode     uint64 = 3
	TvecDirect   uint64 = 0
	TvecVectored uint64 = 1
)
