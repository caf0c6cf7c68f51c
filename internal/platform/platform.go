// Package platform is the host: shared memory, and later executable memory
// and signals. It is the only home of raw system calls for the processor and
// memory floors; it knows nothing of guests.
package platform
