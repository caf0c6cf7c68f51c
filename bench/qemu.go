package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"

	"doppel/internal/image"
	"doppel/test/oracle"
)

// findQEMU gives the newest QEMU that can be had: the one that the environment
// names, else that of a late Debian suite, else the one of the tests or of the
// host. The suite's is kept beside the tests' in the user's cache; it is not
// installed.
func findQEMU(ctx context.Context, suite string) (*oracle.QEMU, error) {
	if os.Getenv(oracle.SystemEnv) == "" && suite != "" {
		if err := fetchQEMU(ctx, suite); err != nil {
			progress("no QEMU of suite %s could be had: an older one serves (%v)", suite, err)
		}
	}
	return oracle.System()
}

// fetchQEMU has the oracle look in the suite's folder, and fills that.
func fetchQEMU(ctx context.Context, suite string) error {
	cache, err := image.CacheDir()
	if err != nil {
		return err
	}
	dir := filepath.Join(cache, "oracle-"+suite)
	if !oracle.Complete(dir) {
		progress("fetching QEMU of suite %s", suite)
		cmd := exec.CommandContext(ctx, "go", "run", "./tools/oracle", "-suite", suite)
		cmd.Env = append(os.Environ(), oracle.DirEnv+"="+dir)
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			return err
		}
	}
	return os.Setenv(oracle.DirEnv, dir)
}
