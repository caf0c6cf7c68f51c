// Package block is disks kept in files of the host: raw images, and ephemeral
// overlays that leave the image untouched.
//
// The format is what the caller says and never guessed from the content: a
// guest that writes another format's header into its disk gains nothing.
//
// Threads: any goroutine may call a disk. An Overlay has one lock, around its
// map of written blocks.
package block
