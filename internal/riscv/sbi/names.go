package sbi

import (
	"fmt"
	"strconv"
	"strings"
)

// Describe writes a call with the names that the specification gives: registers
// are a0 to a7 at the ecall. What the SBI does not know is written by its
// numbers. Any goroutine.
func Describe(a [8]uint64) string {
	if a[7] <= extShutdown {
		return describe("legacy."+legacyNames[a[7]], a[:])
	}
	e, known := names[a[7]]
	switch {
	case !known:
		return fmt.Sprintf("extension %#x, function %d", a[7], a[6])
	case a[6] >= uint64(len(e.functions)):
		return fmt.Sprintf("%s, function %d", e.name, a[6])
	}
	return describe(e.name+"."+e.functions[a[6]], a[:])
}

// Legacy tells whether a call returns in a0 alone (sbi §5).
func Legacy(a [8]uint64) bool { return a[7] <= extShutdown }

// IsSetTimer tells whether a call sets the timer to a0.
func IsSetTimer(a [8]uint64) bool { return a[7] == extTIME && a[6] == 0 || a[7] == extSetTimer }

// describe writes "set_timer stime_value" with the value of the argument.
func describe(signature string, a []uint64) string {
	name, args, _ := strings.Cut(signature, " ")
	var sb strings.Builder
	sb.WriteString(name)
	sb.WriteByte('(')
	for i, arg := range strings.Fields(args) {
		if i > 0 {
			sb.WriteString(", ")
		}
		sb.WriteString(arg + " " + Number(a[i]))
	}
	sb.WriteByte(')')
	return sb.String()
}

// Number writes an argument or a result: an address or a mask in hexadecimal,
// what is small as it is.
func Number(v uint64) string {
	if v < 4096 {
		return strconv.FormatUint(v, 10)
	}
	return "0x" + strconv.FormatUint(v, 16)
}

// legacyNames are the calls of SBI 0.1 (sbi §5), by extension.
var legacyNames = [...]string{
	"set_timer stime_value", "console_putchar ch", "console_getchar", "clear_ipi", "send_ipi hart_mask", "remote_fence_i hart_mask",
	"remote_sfence_vma hart_mask start size", "remote_sfence_vma_asid hart_mask start size asid", "shutdown",
}

type extensionNames struct {
	name      string
	functions []string // a name and the names of its arguments, by number
}

var names = map[uint64]extensionNames{
	extBase: {"base", []string{"get_spec_version", "get_impl_id", "get_impl_version", "probe_extension extension_id",
		"get_mvendorid", "get_marchid", "get_mimpid"}},
	extTIME: {"TIME", []string{"set_timer stime_value"}},
	extIPI:  {"IPI", []string{"send_ipi hart_mask hart_mask_base"}},
	extRFENCE: {"RFENCE", []string{"remote_fence_i hart_mask hart_mask_base",
		"remote_sfence_vma hart_mask hart_mask_base start_addr size",
		"remote_sfence_vma_asid hart_mask hart_mask_base start_addr size asid"}},
	extHSM: {"HSM", []string{"hart_start hartid start_addr opaque", "hart_stop", "hart_get_status hartid",
		"hart_suspend suspend_type resume_addr opaque"}},
	extSTA:  {"STA", []string{"steal_time_set_shmem shmem_phys_lo shmem_phys_hi flags"}},
	extSRST: {"SRST", []string{"system_reset reset_type reset_reason"}},
	extPMU: {"PMU", []string{"num_counters", "counter_get_info counter_idx",
		"counter_config_matching counter_idx_base counter_idx_mask config_flags event_idx event_data",
		"counter_start counter_idx_base counter_idx_mask start_flags initial_value",
		"counter_stop counter_idx_base counter_idx_mask stop_flags", "counter_fw_read counter_idx",
		"counter_fw_read_hi counter_idx", "snapshot_set_shmem shmem_phys_lo shmem_phys_hi flags",
		"event_get_info shmem_phys_lo shmem_phys_hi num_entries flags"}},
	extDBCN: {"DBCN", []string{"console_write num_bytes base_addr_lo base_addr_hi",
		"console_read num_bytes base_addr_lo base_addr_hi", "console_write_byte byte"}},
	extFWFT: {"FWFT", []string{"set feature value flags", "get feature"}},
}
