// Package queue is the device's side of virtqueues (virtio §2.6 to §2.8):
// split and packed rings, indirect descriptors, event suppression.
//
// A Config is what a driver wrote into registers; New checks it and makes a
// live Queue, which no register can change any more. A Queue gives out chains
// with Pop and takes them back with Push, in any order. Every descriptor is
// copied once, then checked, then used: what a driver changes afterwards is
// not seen. A ring that breaks the specification ends the queue: Pop returns
// nothing more and the owner's Fail hears the reason.
//
// It does not know what the buffers mean, nor how a device is discovered.
//
// Threads: a queue may be used by several workers of its device at once.
// Close waits until no worker touches guest memory through the queue, and
// none does after it. Locks: Queue.live (read side held around every access
// to guest memory), then Queue.mu (ring positions). The owner's callbacks are
// called with both held and must not come back to the queue.
package queue
