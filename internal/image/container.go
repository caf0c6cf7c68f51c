package image

import (
	"bufio"
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"doppel/internal/image/initramfs"
	"doppel/internal/image/store"
	"doppel/internal/image/tree"
)

// Bounds on what a configuration may say; an initrd is made of it.
const (
	maxArgs       = 1024
	maxArgLen     = 128 << 10 // MAX_ARG_STRLEN of Linux
	maxAccounts   = 4 << 20
	containerPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// containerOf takes from an OCI configuration what a machine needs.
func containerOf(c v1.Config, digest string) (*store.Container, error) {
	s := &store.Container{Digest: digest, Entrypoint: c.Entrypoint, Cmd: c.Cmd, Env: c.Env, WorkingDir: c.WorkingDir, User: c.User}
	for port := range c.ExposedPorts {
		s.ExposedPorts = append(s.ExposedPorts, port)
	}
	slices.Sort(s.ExposedPorts)
	all := slices.Concat(s.Entrypoint, s.Cmd, s.Env, s.ExposedPorts, []string{s.WorkingDir, s.User})
	if len(all) > maxArgs {
		return nil, fmt.Errorf("the image's configuration has more than %d arguments, variables and ports", maxArgs)
	}
	for _, word := range all {
		if len(word) > maxArgLen || strings.IndexByte(word, 0) >= 0 {
			return nil, fmt.Errorf("the image's configuration has a value that no process can be given: %.60q", word)
		}
	}
	return s, nil
}

// entryOf resolves a configuration in the image's tree: users and groups to numbers, and what is left out to the values
// that container runtimes take.
func entryOf(s *store.Container, t *tree.Tree, hostname string) (initramfs.Entry, error) {
	e := initramfs.Entry{Args: slices.Concat(s.Entrypoint, s.Cmd), Dir: s.WorkingDir, Hostname: hostname}
	if len(e.Args) == 0 {
		if _, err := t.Resolve("bin/sh"); err != nil {
			return e, fmt.Errorf("the image names no program to run and has no /bin/sh; it cannot be booted")
		}
		e.Args = []string{"/bin/sh"}
	}
	if e.Dir == "" {
		e.Dir = "/"
	}
	home, err := resolveUser(s.User, t, &e)
	if err != nil {
		return e, err
	}
	e.Env = append(e.Env, "TERM=linux", "HOSTNAME="+hostname, "HOME="+home, containerPath)
	for _, v := range s.Env {
		name, _, ok := strings.Cut(v, "=")
		if !ok || name == "" {
			continue // as runtimes do: a name alone would take the host's value, and there is none
		}
		e.Env = slices.DeleteFunc(e.Env, func(old string) bool { return strings.HasPrefix(old, name+"=") })
		e.Env = append(e.Env, v)
	}
	return e, nil
}

// resolveUser sets the user and group of "user", "user:group" or numbers for either, and gives the home folder.
func resolveUser(spec string, t *tree.Tree, e *initramfs.Entry) (home string, err error) {
	home = "/"
	user, group, hasGroup := strings.Cut(spec, ":")
	if user == "" {
		user = "0"
	}
	uid, isNumber := parseID(user)
	found := false
	if err := eachAccount(t, "etc/passwd", 7, func(f []string) bool {
		id, ok := parseID(f[2])
		if !ok || !(isNumber && id == uid || !isNumber && f[0] == user) {
			return false
		}
		uid, found = id, true
		if gid, ok := parseID(f[3]); ok {
			e.GID = gid
		}
		if strings.HasPrefix(f[5], "/") {
			home = f[5]
		}
		return true
	}); err != nil {
		return "", err
	}
	if !found && !isNumber {
		return "", fmt.Errorf("the image runs as user %q, who is not in its /etc/passwd; fix the image", user)
	}
	e.UID = uid
	if !hasGroup || group == "" {
		return home, nil
	}
	gid, isNumber := parseID(group)
	if isNumber {
		e.GID = gid
		return home, nil
	}
	found = false
	if err := eachAccount(t, "etc/group", 4, func(f []string) bool {
		id, ok := parseID(f[2])
		if ok && f[0] == group {
			e.GID, found = id, true
		}
		return found
	}); err != nil {
		return "", err
	}
	if !found {
		return "", fmt.Errorf("the image runs as group %q, which is not in its /etc/group; fix the image", group)
	}
	return home, nil
}

func parseID(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 10, 31)
	return uint32(n), err == nil
}

// eachAccount calls fn with the fields of each line of an account file until fn is content. No file is no account.
func eachAccount(t *tree.Tree, path string, fields int, fn func([]string) bool) error {
	if _, err := t.Resolve(path); err != nil {
		return nil
	}
	data, err := t.ReadFile(path, maxAccounts)
	if err != nil {
		return fmt.Errorf("the image's /%s: %w", path, err)
	}
	sc := bufio.NewScanner(bytes.NewReader(data))
	for sc.Scan() {
		if f := strings.Split(sc.Text(), ":"); len(f) >= fields && fn(f) {
			return nil
		}
	}
	return nil
}
