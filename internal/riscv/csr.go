package riscv

import "strconv"

// CSR is the number of a control and status register, 12 bits.
type CSR uint16

// MinPrivilege returns the lowest privilege that may access the register, by its number (priv §2.1).
func (c CSR) MinPrivilege() Privilege { return Privilege(c >> 8 & 3) }

// ReadOnly reports whether the number is in the read-only space (priv §2.1).
func (c CSR) ReadOnly() bool { return c>>10&3 == 3 }

// String returns the manual's name, or the number as 0x... where there is none.
func (c CSR) String() string {
	if n, ok := csrNames[c]; ok {
		return n
	}
	return "0x" + strconv.FormatUint(uint64(c), 16)
}

// Name returns the manual's name, and whether the number has one.
func (c CSR) Name() (string, bool) {
	n, ok := csrNames[c]
	return n, ok
}

// CSRByName returns the register that the manual gives this name.
func CSRByName(name string) (CSR, bool) {
	c, ok := csrNumbers[name]
	return c, ok
}

// CSRs returns every CSR that has a name, in no particular order.
func CSRs() []CSR {
	out := make([]CSR, 0, len(csrNames))
	for c := range csrNames {
		out = append(out, c)
	}
	return out
}

var csrNumbers = func() map[string]CSR {
	m := make(map[string]CSR, len(csrNames))
	for c, n := range csrNames {
		m[n] = c
	}
	return m
}()

// The registers that RV64 with M, S and U can have (priv §2.2); hypervisor ones are not here.
const (

	// Unprivileged: floating point, entropy, counters (F, Zkr, Zicntr, Zihpm).
	CSRFflags       CSR = 0x001
	CSRFrm          CSR = 0x002
	CSRFcsr         CSR = 0x003
	CSRSeed         CSR = 0x015
	CSRCycle        CSR = 0xc00
	CSRTime         CSR = 0xc01
	CSRInstret      CSR = 0xc02
	CSRHpmcounter3  CSR = 0xc03
	CSRHpmcounter4  CSR = 0xc04
	CSRHpmcounter5  CSR = 0xc05
	CSRHpmcounter6  CSR = 0xc06
	CSRHpmcounter7  CSR = 0xc07
	CSRHpmcounter8  CSR = 0xc08
	CSRHpmcounter9  CSR = 0xc09
	CSRHpmcounter10 CSR = 0xc0a
	CSRHpmcounter11 CSR = 0xc0b
	CSRHpmcounter12 CSR = 0xc0c
	CSRHpmcounter13 CSR = 0xc0d
	CSRHpmcounter14 CSR = 0xc0e
	CSRHpmcounter15 CSR = 0xc0f
	CSRHpmcounter16 CSR = 0xc10
	CSRHpmcounter17 CSR = 0xc11
	CSRHpmcounter18 CSR = 0xc12
	CSRHpmcounter19 CSR = 0xc13
	CSRHpmcounter20 CSR = 0xc14
	CSRHpmcounter21 CSR = 0xc15
	CSRHpmcounter22 CSR = 0xc16
	CSRHpmcounter23 CSR = 0xc17
	CSRHpmcounter24 CSR = 0xc18
	CSRHpmcounter25 CSR = 0xc19
	CSRHpmcounter26 CSR = 0xc1a
	CSRHpmcounter27 CSR = 0xc1b
	CSRHpmcounter28 CSR = 0xc1c
	CSRHpmcounter29 CSR = 0xc1d
	CSRHpmcounter30 CSR = 0xc1e
	CSRHpmcounter31 CSR = 0xc1f

	// Supervisor.
	CSRSstatus       CSR = 0x100
	CSRSie           CSR = 0x104
	CSRStvec         CSR = 0x105
	CSRScounteren    CSR = 0x106
	CSRSenvcfg       CSR = 0x10a
	CSRSstateen0     CSR = 0x10c
	CSRSstateen1     CSR = 0x10d
	CSRSstateen2     CSR = 0x10e
	CSRSstateen3     CSR = 0x10f
	CSRScountinhibit CSR = 0x120
	CSRSscratch      CSR = 0x140
	CSRSepc          CSR = 0x141
	CSRScause        CSR = 0x142
	CSRStval         CSR = 0x143
	CSRSip           CSR = 0x144
	CSRStimecmp      CSR = 0x14d
	CSRSiselect      CSR = 0x150
	CSRSireg         CSR = 0x151
	CSRStopei        CSR = 0x15c
	CSRSatp          CSR = 0x180
	CSRScontext      CSR = 0x5a8
	CSRScountovf     CSR = 0xda0
	CSRStopi         CSR = 0xdb0

	// Machine: information.
	CSRMvendorid  CSR = 0xf11
	CSRMarchid    CSR = 0xf12
	CSRMimpid     CSR = 0xf13
	CSRMhartid    CSR = 0xf14
	CSRMconfigptr CSR = 0xf15

	// Machine: trap setup and handling, configuration.
	CSRMstatus       CSR = 0x300
	CSRMisa          CSR = 0x301
	CSRMedeleg       CSR = 0x302
	CSRMideleg       CSR = 0x303
	CSRMie           CSR = 0x304
	CSRMtvec         CSR = 0x305
	CSRMcounteren    CSR = 0x306
	CSRMvien         CSR = 0x308
	CSRMvip          CSR = 0x309
	CSRMenvcfg       CSR = 0x30a
	CSRMstateen0     CSR = 0x30c
	CSRMstateen1     CSR = 0x30d
	CSRMstateen2     CSR = 0x30e
	CSRMstateen3     CSR = 0x30f
	CSRMcountinhibit CSR = 0x320
	CSRMhpmevent3    CSR = 0x323
	CSRMhpmevent4    CSR = 0x324
	CSRMhpmevent5    CSR = 0x325
	CSRMhpmevent6    CSR = 0x326
	CSRMhpmevent7    CSR = 0x327
	CSRMhpmevent8    CSR = 0x328
	CSRMhpmevent9    CSR = 0x329
	CSRMhpmevent10   CSR = 0x32a
	CSRMhpmevent11   CSR = 0x32b
	CSRMhpmevent12   CSR = 0x32c
	CSRMhpmevent13   CSR = 0x32d
	CSRMhpmevent14   CSR = 0x32e
	CSRMhpmevent15   CSR = 0x32f
	CSRMhpmevent16   CSR = 0x330
	CSRMhpmevent17   CSR = 0x331
	CSRMhpmevent18   CSR = 0x332
	CSRMhpmevent19   CSR = 0x333
	CSRMhpmevent20   CSR = 0x334
	CSRMhpmevent21   CSR = 0x335
	CSRMhpmevent22   CSR = 0x336
	CSRMhpmevent23   CSR = 0x337
	CSRMhpmevent24   CSR = 0x338
	CSRMhpmevent25   CSR = 0x339
	CSRMhpmevent26   CSR = 0x33a
	CSRMhpmevent27   CSR = 0x33b
	CSRMhpmevent28   CSR = 0x33c
	CSRMhpmevent29   CSR = 0x33d
	CSRMhpmevent30   CSR = 0x33e
	CSRMhpmevent31   CSR = 0x33f
	CSRMscratch      CSR = 0x340
	CSRMepc          CSR = 0x341
	CSRMcause        CSR = 0x342
	CSRMtval         CSR = 0x343
	CSRMip           CSR = 0x344
	CSRMtinst        CSR = 0x34a
	CSRMtval2        CSR = 0x34b
	CSRMiselect      CSR = 0x350
	CSRMireg         CSR = 0x351
	CSRMtopei        CSR = 0x35c

	// Machine: physical memory protection. RV64 has the even-numbered pmpcfg only (priv §3.7.1).
	CSRPmpcfg0   CSR = 0x3a0
	CSRPmpcfg2   CSR = 0x3a2
	CSRPmpcfg4   CSR = 0x3a4
	CSRPmpcfg6   CSR = 0x3a6
	CSRPmpcfg8   CSR = 0x3a8
	CSRPmpcfg10  CSR = 0x3aa
	CSRPmpcfg12  CSR = 0x3ac
	CSRPmpcfg14  CSR = 0x3ae
	CSRPmpaddr0  CSR = 0x3b0
	CSRPmpaddr1  CSR = 0x3b1
	CSRPmpaddr2  CSR = 0x3b2
	CSRPmpaddr3  CSR = 0x3b3
	CSRPmpaddr4  CSR = 0x3b4
	CSRPmpaddr5  CSR = 0x3b5
	CSRPmpaddr6  CSR = 0x3b6
	CSRPmpaddr7  CSR = 0x3b7
	CSRPmpaddr8  CSR = 0x3b8
	CSRPmpaddr9  CSR = 0x3b9
	CSRPmpaddr10 CSR = 0x3ba
	CSRPmpaddr11 CSR = 0x3bb
	CSRPmpaddr12 CSR = 0x3bc
	CSRPmpaddr13 CSR = 0x3bd
	CSRPmpaddr14 CSR = 0x3be
	CSRPmpaddr15 CSR = 0x3bf
	CSRPmpaddr16 CSR = 0x3c0
	CSRPmpaddr17 CSR = 0x3c1
	CSRPmpaddr18 CSR = 0x3c2
	CSRPmpaddr19 CSR = 0x3c3
	CSRPmpaddr20 CSR = 0x3c4
	CSRPmpaddr21 CSR = 0x3c5
	CSRPmpaddr22 CSR = 0x3c6
	CSRPmpaddr23 CSR = 0x3c7
	CSRPmpaddr24 CSR = 0x3c8
	CSRPmpaddr25 CSR = 0x3c9
	CSRPmpaddr26 CSR = 0x3ca
	CSRPmpaddr27 CSR = 0x3cb
	CSRPmpaddr28 CSR = 0x3cc
	CSRPmpaddr29 CSR = 0x3cd
	CSRPmpaddr30 CSR = 0x3ce
	CSRPmpaddr31 CSR = 0x3cf
	CSRPmpaddr32 CSR = 0x3d0
	CSRPmpaddr33 CSR = 0x3d1
	CSRPmpaddr34 CSR = 0x3d2
	CSRPmpaddr35 CSR = 0x3d3
	CSRPmpaddr36 CSR = 0x3d4
	CSRPmpaddr37 CSR = 0x3d5
	CSRPmpaddr38 CSR = 0x3d6
	CSRPmpaddr39 CSR = 0x3d7
	CSRPmpaddr40 CSR = 0x3d8
	CSRPmpaddr41 CSR = 0x3d9
	CSRPmpaddr42 CSR = 0x3da
	CSRPmpaddr43 CSR = 0x3db
	CSRPmpaddr44 CSR = 0x3dc
	CSRPmpaddr45 CSR = 0x3dd
	CSRPmpaddr46 CSR = 0x3de
	CSRPmpaddr47 CSR = 0x3df
	CSRPmpaddr48 CSR = 0x3e0
	CSRPmpaddr49 CSR = 0x3e1
	CSRPmpaddr50 CSR = 0x3e2
	CSRPmpaddr51 CSR = 0x3e3
	CSRPmpaddr52 CSR = 0x3e4
	CSRPmpaddr53 CSR = 0x3e5
	CSRPmpaddr54 CSR = 0x3e6
	CSRPmpaddr55 CSR = 0x3e7
	CSRPmpaddr56 CSR = 0x3e8
	CSRPmpaddr57 CSR = 0x3e9
	CSRPmpaddr58 CSR = 0x3ea
	CSRPmpaddr59 CSR = 0x3eb
	CSRPmpaddr60 CSR = 0x3ec
	CSRPmpaddr61 CSR = 0x3ed
	CSRPmpaddr62 CSR = 0x3ee
	CSRPmpaddr63 CSR = 0x3ef

	// Machine: resumable NMI, security, debug triggers, counters, AIA.
	CSRMnscratch     CSR = 0x740
	CSRMnepc         CSR = 0x741
	CSRMncause       CSR = 0x742
	CSRMnstatus      CSR = 0x744
	CSRMseccfg       CSR = 0x747
	CSRTselect       CSR = 0x7a0
	CSRTdata1        CSR = 0x7a1
	CSRTdata2        CSR = 0x7a2
	CSRTdata3        CSR = 0x7a3
	CSRTinfo         CSR = 0x7a4
	CSRTcontrol      CSR = 0x7a5
	CSRMcontext      CSR = 0x7a8
	CSRDcsr          CSR = 0x7b0
	CSRDpc           CSR = 0x7b1
	CSRDscratch0     CSR = 0x7b2
	CSRDscratch1     CSR = 0x7b3
	CSRMcycle        CSR = 0xb00
	CSRMinstret      CSR = 0xb02
	CSRMhpmcounter3  CSR = 0xb03
	CSRMhpmcounter4  CSR = 0xb04
	CSRMhpmcounter5  CSR = 0xb05
	CSRMhpmcounter6  CSR = 0xb06
	CSRMhpmcounter7  CSR = 0xb07
	CSRMhpmcounter8  CSR = 0xb08
	CSRMhpmcounter9  CSR = 0xb09
	CSRMhpmcounter10 CSR = 0xb0a
	CSRMhpmcounter11 CSR = 0xb0b
	CSRMhpmcounter12 CSR = 0xb0c
	CSRMhpmcounter13 CSR = 0xb0d
	CSRMhpmcounter14 CSR = 0xb0e
	CSRMhpmcounter15 CSR = 0xb0f
	CSRMhpmcounter16 CSR = 0xb10
	CSRMhpmcounter17 CSR = 0xb11
	CSRMhpmcounter18 CSR = 0xb12
	CSRMhpmcounter19 CSR = 0xb13
	CSRMhpmcounter20 CSR = 0xb14
	CSRMhpmcounter21 CSR = 0xb15
	CSRMhpmcounter22 CSR = 0xb16
	CSRMhpmcounter23 CSR = 0xb17
	CSRMhpmcounter24 CSR = 0xb18
	CSRMhpmcounter25 CSR = 0xb19
	CSRMhpmcounter26 CSR = 0xb1a
	CSRMhpmcounter27 CSR = 0xb1b
	CSRMhpmcounter28 CSR = 0xb1c
	CSRMhpmcounter29 CSR = 0xb1d
	CSRMhpmcounter30 CSR = 0xb1e
	CSRMhpmcounter31 CSR = 0xb1f
	CSRMtopi         CSR = 0xfb0
)

var csrNames = map[CSR]string{
	CSRFflags:        "fflags",
	CSRFrm:           "frm",
	CSRFcsr:          "fcsr",
	CSRSeed:          "seed",
	CSRCycle:         "cycle",
	CSRTime:          "time",
	CSRInstret:       "instret",
	CSRHpmcounter3:   "hpmcounter3",
	CSRHpmcounter4:   "hpmcounter4",
	CSRHpmcounter5:   "hpmcounter5",
	CSRHpmcounter6:   "hpmcounter6",
	CSRHpmcounter7:   "hpmcounter7",
	CSRHpmcounter8:   "hpmcounter8",
	CSRHpmcounter9:   "hpmcounter9",
	CSRHpmcounter10:  "hpmcounter10",
	CSRHpmcounter11:  "hpmcounter11",
	CSRHpmcounter12:  "hpmcounter12",
	CSRHpmcounter13:  "hpmcounter13",
	CSRHpmcounter14:  "hpmcounter14",
	CSRHpmcounter15:  "hpmcounter15",
	CSRHpmcounter16:  "hpmcounter16",
	CSRHpmcounter17:  "hpmcounter17",
	CSRHpmcounter18:  "hpmcounter18",
	CSRHpmcounter19:  "hpmcounter19",
	CSRHpmcounter20:  "hpmcounter20",
	CSRHpmcounter21:  "hpmcounter21",
	CSRHpmcounter22:  "hpmcounter22",
	CSRHpmcounter23:  "hpmcounter23",
	CSRHpmcounter24:  "hpmcounter24",
	CSRHpmcounter25:  "hpmcounter25",
	CSRHpmcounter26:  "hpmcounter26",
	CSRHpmcounter27:  "hpmcounter27",
	CSRHpmcounter28:  "hpmcounter28",
	CSRHpmcounter29:  "hpmcounter29",
	CSRHpmcounter30:  "hpmcounter30",
	CSRHpmcounter31:  "hpmcounter31",
	CSRSstatus:       "sstatus",
	CSRSie:           "sie",
	CSRStvec:         "stvec",
	CSRScounteren:    "scounteren",
	CSRSenvcfg:       "senvcfg",
	CSRSstateen0:     "sstateen0",
	CSRSstateen1:     "sstateen1",
	CSRSstateen2:     "sstateen2",
	CSRSstateen3:     "sstateen3",
	CSRScountinhibit: "scountinhibit",
	CSRSscratch:      "sscratch",
	CSRSepc:          "sepc",
	CSRScause:        "scause",
	CSRStval:         "stval",
	CSRSip:           "sip",
	CSRStimecmp:      "stimecmp",
	CSRSiselect:      "siselect",
	CSRSireg:         "sireg",
	CSRStopei:        "stopei",
	CSRSatp:          "satp",
	CSRScontext:      "scontext",
	CSRScountovf:     "scountovf",
	CSRStopi:         "stopi",
	CSRMvendorid:     "mvendorid",
	CSRMarchid:       "marchid",
	CSRMimpid:        "mimpid",
	CSRMhartid:       "mhartid",
	CSRMconfigptr:    "mconfigptr",
	CSRMstatus:       "mstatus",
	CSRMisa:          "misa",
	CSRMedeleg:       "medeleg",
	CSRMideleg:       "mideleg",
	CSRMie:           "mie",
	CSRMtvec:         "mtvec",
	CSRMcounteren:    "mcounteren",
	CSRMvien:         "mvien",
	CSRMvip:          "mvip",
	CSRMenvcfg:       "menvcfg",
	CSRMstateen0:     "mstateen0",
	CSRMstateen1:     "mstateen1",
	CSRMstateen2:     "mstateen2",
	CSRMstateen3:     "mstateen3",
	CSRMcountinhibit: "mcountinhibit",
	CSRMhpmevent3:    "mhpmevent3",
	CSRMhpmevent4:    "mhpmevent4",
	CSRMhpmevent5:    "mhpmevent5",
	CSRMhpmevent6:    "mhpmevent6",
	CSRMhpmevent7:    "mhpmevent7",
	CSRMhpmevent8:    "mhpmevent8",
	CSRMhpmevent9:    "mhpmevent9",
	CSRMhpmevent10:   "mhpmevent10",
	CSRMhpmevent11:   "mhpmevent11",
	CSRMhpmevent12:   "mhpmevent12",
	CSRMhpmevent13:   "mhpmevent13",
	CSRMhpmevent14:   "mhpmevent14",
	CSRMhpmevent15:   "mhpmevent15",
	CSRMhpmevent16:   "mhpmevent16",
	CSRMhpmevent17:   "mhpmevent17",
	CSRMhpmevent18:   "mhpmevent18",
	CSRMhpmevent19:   "mhpmevent19",
	CSRMhpmevent20:   "mhpmevent20",
	CSRMhpmevent21:   "mhpmevent21",
	CSRMhpmevent22:   "mhpmevent22",
	CSRMhpmevent23:   "mhpmevent23",
	CSRMhpmevent24:   "mhpmevent24",
	CSRMhpmevent25:   "mhpmevent25",
	CSRMhpmevent26:   "mhpmevent26",
	CSRMhpmevent27:   "mhpmevent27",
	CSRMhpmevent28:   "mhpmevent28",
	CSRMhpmevent29:   "mhpmevent29",
	CSRMhpmevent30:   "mhpmevent30",
	CSRMhpmevent31:   "mhpmevent31",
	CSRMscratch:      "mscratch",
	CSRMepc:          "mepc",
	CSRMcause:        "mcause",
	CSRMtval:         "mtval",
	CSRMip:           "mip",
	CSRMtinst:        "mtinst",
	CSRMtval2:        "mtval2",
	CSRMiselect:      "miselect",
	CSRMireg:         "mireg",
	CSRMtopei:        "mtopei",
	CSRPmpcfg0:       "pmpcfg0",
	CSRPmpcfg2:       "pmpcfg2",
	CSRPmpcfg4:       "pmpcfg4",
	CSRPmpcfg6:       "pmpcfg6",
	CSRPmpcfg8:       "pmpcfg8",
	CSRPmpcfg10:      "pmpcfg10",
	CSRPmpcfg12:      "pmpcfg12",
	CSRPmpcfg14:      "pmpcfg14",
	CSRPmpaddr0:      "pmpaddr0",
	CSRPmpaddr1:      "pmpaddr1",
	CSRPmpaddr2:      "pmpaddr2",
	CSRPmpaddr3:      "pmpaddr3",
	CSRPmpaddr4:      "pmpaddr4",
	CSRPmpaddr5:      "pmpaddr5",
	CSRPmpaddr6:      "pmpaddr6",
	CSRPmpaddr7:      "pmpaddr7",
	CSRPmpaddr8:      "pmpaddr8",
	CSRPmpaddr9:      "pmpaddr9",
	CSRPmpaddr10:     "pmpaddr10",
	CSRPmpaddr11:     "pmpaddr11",
	CSRPmpaddr12:     "pmpaddr12",
	CSRPmpaddr13:     "pmpaddr13",
	CSRPmpaddr14:     "pmpaddr14",
	CSRPmpaddr15:     "pmpaddr15",
	CSRPmpaddr16:     "pmpaddr16",
	CSRPmpaddr17:     "pmpaddr17",
	CSRPmpaddr18:     "pmpaddr18",
	CSRPmpaddr19:     "pmpaddr19",
	CSRPmpaddr20:     "pmpaddr20",
	CSRPmpaddr21:     "pmpaddr21",
	CSRPmpaddr22:     "pmpaddr22",
	CSRPmpaddr23:     "pmpaddr23",
	CSRPmpaddr24:     "pmpaddr24",
	CSRPmpaddr25:     "pmpaddr25",
	CSRPmpaddr26:     "pmpaddr26",
	CSRPmpaddr27:     "pmpaddr27",
	CSRPmpaddr28:     "pmpaddr28",
	CSRPmpaddr29:     "pmpaddr29",
	CSRPmpaddr30:     "pmpaddr30",
	CSRPmpaddr31:     "pmpaddr31",
	CSRPmpaddr32:     "pmpaddr32",
	CSRPmpaddr33:     "pmpaddr33",
	CSRPmpaddr34:     "pmpaddr34",
	CSRPmpaddr35:     "pmpaddr35",
	CSRPmpaddr36:     "pmpaddr36",
	CSRPmpaddr37:     "pmpaddr37",
	CSRPmpaddr38:     "pmpaddr38",
	CSRPmpaddr39:     "pmpaddr39",
	CSRPmpaddr40:     "pmpaddr40",
	CSRPmpaddr41:     "pmpaddr41",
	CSRPmpaddr42:     "pmpaddr42",
	CSRPmpaddr43:     "pmpaddr43",
	CSRPmpaddr44:     "pmpaddr44",
	CSRPmpaddr45:     "pmpaddr45",
	CSRPmpaddr46:     "pmpaddr46",
	CSRPmpaddr47:     "pmpaddr47",
	CSRPmpaddr48:     "pmpaddr48",
	CSRPmpaddr49:     "pmpaddr49",
	CSRPmpaddr50:     "pmpaddr50",
	CSRPmpaddr51:     "pmpaddr51",
	CSRPmpaddr52:     "pmpaddr52",
	CSRPmpaddr53:     "pmpaddr53",
	CSRPmpaddr54:     "pmpaddr54",
	CSRPmpaddr55:     "pmpaddr55",
	CSRPmpaddr56:     "pmpaddr56",
	CSRPmpaddr57:     "pmpaddr57",
	CSRPmpaddr58:     "pmpaddr58",
	CSRPmpaddr59:     "pmpaddr59",
	CSRPmpaddr60:     "pmpaddr60",
	CSRPmpaddr61:     "pmpaddr61",
	CSRPmpaddr62:     "pmpaddr62",
	CSRPmpaddr63:     "pmpaddr63",
	CSRMnscratch:     "mnscratch",
	CSRMnepc:         "mnepc",
	CSRMncause:       "mncause",
	CSRMnstatus:      "mnstatus",
	CSRMseccfg:       "mseccfg",
	CSRTselect:       "tselect",
	CSRTdata1:        "tdata1",
	CSRTdata2:        "tdata2",
	CSRTdata3:        "tdata3",
	CSRTinfo:         "tinfo",
	CSRTcontrol:      "tcontrol",
	CSRMcontext:      "mcontext",
	CSRDcsr:          "dcsr",
	CSRDpc:           "dpc",
	CSRDscratch0:     "dscratch0",
	CSRDscratch1:     "dscratch1",
	CSRMcycle:        "mcycle",
	CSRMinstret:      "minstret",
	CSRMhpmcounter3:  "mhpmcounter3",
	CSRMhpmcounter4:  "mhpmcounter4",
	CSRMhpmcounter5:  "mhpmcounter5",
	CSRMhpmcounter6:  "mhpmcounter6",
	CSRMhpmcounter7:  "mhpmcounter7",
	CSRMhpmcounter8:  "mhpmcounter8",
	CSRMhpmcounter9:  "mhpmcounter9",
	CSRMhpmcounter10: "mhpmcounter10",
	CSRMhpmcounter11: "mhpmcounter11",
	CSRMhpmcounter12: "mhpmcounter12",
	CSRMhpmcounter13: "mhpmcounter13",
	CSRMhpmcounter14: "mhpmcounter14",
	CSRMhpmcounter15: "mhpmcounter15",
	CSRMhpmcounter16: "mhpmcounter16",
	CSRMhpmcounter17: "mhpmcounter17",
	CSRMhpmcounter18: "mhpmcounter18",
	CSRMhpmcounter19: "mhpmcounter19",
	CSRMhpmcounter20: "mhpmcounter20",
	CSRMhpmcounter21: "mhpmcounter21",
	CSRMhpmcounter22: "mhpmcounter22",
	CSRMhpmcounter23: "mhpmcounter23",
	CSRMhpmcounter24: "mhpmcounter24",
	CSRMhpmcounter25: "mhpmcounter25",
	CSRMhpmcounter26: "mhpmcounter26",
	CSRMhpmcounter27: "mhpmcounter27",
	CSRMhpmcounter28: "mhpmcounter28",
	CSRMhpmcounter29: "mhpmcounter29",
	CSRMhpmcounter30: "mhpmcounter30",
	CSRMhpmcounter31: "mhpmcounter31",
	CSRMtopi:         "mtopi",
}
