package image

import "syscall"

// unixStat is what os.FileInfo.Sys gives on Linux.
type unixStat = syscall.Stat_t
