package device

import (
	"fmt"

	"doppel/internal/memory"
)

// UnitName is a device-tree node's name with its unit address (dt §2.2.1).
func UnitName(name string, base memory.GPA) string {
	return fmt.Sprintf("%s@%x", name, uint64(base))
}
