package mmio

import (
	"fmt"

	"doppel/internal/device"
)

var (
	_ device.Registers = (*Device)(nil)
	_ device.Registers = (*Empty)(nil)
)

// names are those of virtio §4.2.2.
var names = map[uint64]string{
	regMagic: "MagicValue", regVersion: "Version", regDeviceID: "DeviceID", regVendorID: "VendorID",
	regDeviceFeatures: "DeviceFeatures", regDeviceFeatSel: "DeviceFeaturesSel",
	regDriverFeatures: "DriverFeatures", regDriverFeatSel: "DriverFeaturesSel",
	regQueueSel: "QueueSel", regQueueSizeMax: "QueueSizeMax", regQueueSize: "QueueSize", regQueueReady: "QueueReady",
	regQueueNotify: "QueueNotify", regIntStatus: "InterruptStatus", regIntAck: "InterruptACK", regStatus: "Status",
	regQueueDescLow: "QueueDescLow", regQueueDescHigh: "QueueDescHigh", regQueueDrvLow: "QueueDriverLow",
	regQueueDrvHigh: "QueueDriverHigh", regQueueDevLow: "QueueDeviceLow", regQueueDevHigh: "QueueDeviceHigh",
	regSHMSel: "SHMSel", regSHMLenLow: "SHMLenLow", regSHMLenHigh: "SHMLenHigh", regSHMBaseLow: "SHMBaseLow",
	regSHMBaseHigh: "SHMBaseHigh", regQueueReset: "QueueReset", regConfigGen: "ConfigGeneration",
}

func registerName(off uint64) string {
	if off >= regConfig {
		return fmt.Sprintf("Config+%d", off-regConfig)
	}
	return names[off]
}

// RegisterName implements device.Registers.
func (d *Device) RegisterName(off uint64, _ bool) string { return registerName(off) }

// RegisterName implements device.Registers.
func (*Empty) RegisterName(off uint64, _ bool) string { return registerName(off) }
