package control

// Disk is what a machine's guest has done with a disk.
type Disk struct {
	Path       string `json:"path"`
	Reads      uint64 `json:"reads"`
	Writes     uint64 `json:"writes"`
	ReadBytes  uint64 `json:"read_bytes"`
	WriteBytes uint64 `json:"write_bytes"`
}

// Network is what went through a machine's network card, as its guest sees it.
type Network struct {
	Received      uint64 `json:"received"` // frames
	Sent          uint64 `json:"sent"`
	ReceivedBytes uint64 `json:"received_bytes"`
	SentBytes     uint64 `json:"sent_bytes"`
}
