package mmio

// Registers of virtio §4.2.2, all of 32 bits.
const (
	regMagic          = 0x000
	regVersion        = 0x004
	regDeviceID       = 0x008
	regVendorID       = 0x00c
	regDeviceFeatures = 0x010
	regDeviceFeatSel  = 0x014
	regDriverFeatures = 0x020
	regDriverFeatSel  = 0x024
	regQueueSel       = 0x030
	regQueueSizeMax   = 0x034
	regQueueSize      = 0x038
	regQueueReady     = 0x044
	regQueueNotify    = 0x050
	regIntStatus      = 0x060
	regIntAck         = 0x064
	regStatus         = 0x070
	regQueueDescLow   = 0x080
	regQueueDescHigh  = 0x084
	regQueueDrvLow    = 0x090
	regQueueDrvHigh   = 0x094
	regQueueDevLow    = 0x0a0
	regQueueDevHigh   = 0x0a4
	regSHMSel         = 0x0ac
	regSHMLenLow      = 0x0b0
	regSHMLenHigh     = 0x0b4
	regSHMBaseLow     = 0x0b8
	regSHMBaseHigh    = 0x0bc
	regQueueReset     = 0x0c0
	regConfigGen      = 0x0fc
	regConfig         = 0x100
)

const (
	magic   = 0x74726976 // "virt"
	version = 2
	vendor  = 0x4c505044 // "DPPL"

	windowSize = 0x1000
)

// Device status bits (virtio §2.1).
const (
	StatusAcknowledge uint32 = 1
	StatusDriver      uint32 = 2
	StatusDriverOK    uint32 = 4
	StatusFeaturesOK  uint32 = 8
	StatusNeedsReset  uint32 = 64
	StatusFailed      uint32 = 128

	statusDriverBits = StatusAcknowledge | StatusDriver | StatusDriverOK | StatusFeaturesOK | StatusFailed
)

// Interrupt status bits (virtio §4.2.2).
const (
	IntUsedBuffer   uint32 = 1
	IntConfigChange uint32 = 2
)
