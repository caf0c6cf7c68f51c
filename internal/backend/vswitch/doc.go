// Package vswitch is an Ethernet switch in this process, whose ports are
// networks for virtio devices: it learns where addresses are, keeps VLANs
// apart, limits rates and copies what passes to a file that Wireshark reads.
//
// It routes nothing and gives no addresses; a port can lead to a user-mode
// network, which does (Uplink). It has no spanning tree: the machines are
// leaves. A guest that joins two of its own ports makes a loop, which costs
// that guest and is bounded like any flood.
//
// Whatever a guest sends, a port holds a bounded number of bytes, the table of
// addresses a bounded number of entries for each port, and a frame that finds
// no room is dropped and counted. Frames that are under way are never written
// to: the ports that get a flooded frame share its bytes.
//
// Threads: Send runs on its caller's goroutine as far as the queues of the
// ports, and into the network behind an uplink; a port with a rate has a timer,
// and what comes from an uplink and a capture have a goroutine each. Lock order: Switch.mu, then a port's mutex, then Capture.mu;
// none is held while a device, an uplink or a file is called.
package vswitch
