// Command oracle fetches the QEMU that the differential tests compare with: a
// newer one than an older Debian host installs, for the tests need one that
// knows the extensions Doppel has.
//
// It resolves the packages in an apt root of its own (own lists, cache and
// status; the host's mirror, the host's archive keys), so nothing on the host
// is installed or changed, and unpacks them into the user's cache, where
// package test/oracle looks. apt verifies signatures and hashes. A second run
// finds the work done.
//
// usage: go run ./tools/oracle [-suite trixie] [-mirror URL]
package main

import (
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"doppel/test/oracle"
)

// packages hold qemu-riscv64 and qemu-aarch64 (static) and qemu-system-riscv64
// (with libraries).
var packages = []string{"qemu-user", "qemu-system-riscv"}

func main() {
	suite := flag.String("suite", "trixie", "the Debian suite to take QEMU from")
	mirror := flag.String("mirror", "", "the Debian mirror (default: the one of the host's apt configuration)")
	flag.Parse()
	if err := run(*suite, *mirror); err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(1)
	}
}

func run(suite, mirror string) error {
	dir, err := oracle.Dir()
	if err != nil {
		return err
	}
	if oracle.Complete(dir) {
		return nil
	}
	for _, tool := range []string{"apt-get", "dpkg-deb", "dpkg"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%s is not here; on a host that is not Debian, install QEMU 10 or later and set %s and %s",
				tool, oracle.UserEnv, oracle.SystemEnv)
		}
	}
	if mirror == "" {
		if mirror, err = hostMirror(); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), ".fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	fmt.Fprintf(os.Stderr, "oracle: fetching QEMU of %s\n", suite)
	debs, err := download(work, suite, mirror)
	if err != nil {
		return err
	}
	root := filepath.Join(work, "root")
	if err := unpack(root, debs); err != nil {
		return err
	}
	// The whole tree appears at once, so an interrupted run leaves nothing that looks complete.
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.Rename(root, dir); err != nil {
		return err
	}
	if !oracle.Complete(dir) {
		return fmt.Errorf("suite %s has no QEMU laid out as expected; another -suite may", suite)
	}
	return nil
}

// hostMirror is the first archive in the host's apt configuration that has a
// pool of Debian's own packages.
func hostMirror() (string, error) {
	out, err := exec.Command("apt-get", "indextargets", "--format", "$(ORIGIN) $(LABEL) $(REPO_URI)").Output()
	if err != nil {
		return "", fmt.Errorf("apt-get indextargets: %w (run apt-get update, or give -mirror)", err)
	}
	for line := range strings.Lines(string(out)) {
		// The label tells the main archive from Debian-Security and from third parties.
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "Debian Debian "); ok {
			return rest, nil
		}
	}
	return "", errors.New("the host's apt configuration names no Debian archive: give -mirror URL")
}

func download(work, suite, mirror string) ([]string, error) {
	u, err := url.Parse(mirror)
	if err != nil || u.Scheme == "" || strings.ContainsAny(mirror, " \t\n[]") {
		return nil, fmt.Errorf("mirror %q is not a URL", mirror)
	}
	if strings.ContainsAny(suite, " \t\n/[]") {
		return nil, fmt.Errorf("suite %q is not a suite's name", suite)
	}
	arch, err := exec.Command("dpkg", "--print-architecture").Output()
	if err != nil {
		return nil, err
	}
	for _, d := range []string{"lists/partial", "cache/archives/partial", "parts", "state"} {
		if err := os.MkdirAll(filepath.Join(work, d), 0o755); err != nil {
			return nil, err
		}
	}
	files := map[string]string{
		"status": "",
		"sources": fmt.Sprintf("deb [signed-by=%s] %s %s main\n",
			"/usr/share/keyrings/debian-archive-keyring.gpg", mirror, suite),
		"conf": fmt.Sprintf(`Dir::State "%[1]s/state"; Dir::State::lists "%[1]s/lists"; Dir::State::status "%[1]s/status";
Dir::Cache "%[1]s/cache"; Dir::Etc::sourcelist "%[1]s/sources"; Dir::Etc::sourceparts "%[1]s/parts";
Dir::Etc::preferencesparts "%[1]s/parts"; Dir::Etc::trustedparts "%[1]s/parts";
APT::Architecture "%[2]s"; APT::Architectures "%[2]s"; APT::Install-Recommends "false"; APT::Sandbox::User "";
Acquire::Languages "none"; Acquire::Retries "3"; Debug::NoLocking "true";
`, work, strings.TrimSpace(string(arch))),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(work, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	env := append(os.Environ(), "APT_CONFIG="+filepath.Join(work, "conf"), "DEBIAN_FRONTEND=noninteractive")
	for _, args := range [][]string{
		{"-q", "update"},
		append([]string{"-q", "-y", "--download-only", "install"}, packages...),
	} {
		cmd := exec.Command("apt-get", args...)
		cmd.Env = env
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("apt-get %s: %w\n%s", strings.Join(args, " "), err, tail(out))
		}
	}
	return filepath.Glob(filepath.Join(work, "cache/archives/*.deb"))
}

func unpack(root string, debs []string) error {
	if len(debs) == 0 {
		return errors.New("apt downloaded no package")
	}
	// Debian merged /lib into /usr/lib; the links come from a package that no dependency names.
	for _, d := range []string{"lib", "lib64", "bin", "sbin"} {
		if err := os.MkdirAll(filepath.Join(root, "usr", d), 0o755); err != nil {
			return err
		}
		if err := os.Symlink("usr/"+d, filepath.Join(root, d)); err != nil {
			return err
		}
	}
	for _, deb := range debs {
		// --extract refuses to follow a link out of the way for a folder; --fsys-tarfile through tar keeps ours.
		fs := exec.Command("dpkg-deb", "--fsys-tarfile", deb)
		tar := exec.Command("tar", "-x", "--keep-directory-symlink", "--no-same-owner", "-C", root)
		pipe, err := fs.StdoutPipe()
		if err != nil {
			return err
		}
		tar.Stdin = pipe
		if err := fs.Start(); err != nil {
			return err
		}
		out, err := tar.CombinedOutput()
		if err = errors.Join(err, fs.Wait()); err != nil {
			return fmt.Errorf("unpack %s: %w\n%s", filepath.Base(deb), err, tail(out))
		}
	}
	return prune(filepath.Join(root, "usr/bin"))
}

// prune drops the programs that nobody asked for: QEMU comes for 30 other
// processors.
func prune(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), "-riscv64") && e.Name() != "qemu-aarch64" {
			err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

func tail(out []byte) []byte { return out[max(0, len(out)-2000):] }
