// Package image makes the images that machines boot: from Debian's packages, from files of the user, from container
// registries. An image is a folder of the store with a raw ext4 disk, a kernel, an initrd and a description.
//
// It needs no root privileges and mounts nothing: archives become a file tree in memory (package tree), and the tree
// becomes a disk (package ext4). What must run, a package's maintainer scripts, runs inside a machine that the caller
// boots.
//
// It does not run machines and draws no progress.
//
// The functions may be called from any goroutine, also of several processes at once. Lock order: an image's name in the
// store, then a file of the download cache.
package image
