package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"doppel"
	"doppel/internal/manage/compose"
)

// Flags of doppel run that are no keys of a machine in a file: the file says it
// otherwise, or for all machines together.
var (
	noKeys   = []string{"name", "switch"}
	hostKeys = []string{"memory-limit", "memory-policy", "memory-sharing"}
)

const keyImage = "image"

// fileSchema is made of the flags of doppel run.
func fileSchema() compose.Schema {
	s := compose.Schema{
		Host:    compose.Keys{},
		Machine: compose.Keys{keyImage: compose.Text},
		Network: compose.Keys{"uplink": compose.Text, "subnet": compose.Text, "uplink-vlan": compose.Text, "capture": compose.Text},
	}
	newFlags().VisitAll(func(f *pflag.Flag) {
		kind := compose.Text
		switch f.Value.Type() {
		case "bool":
			kind = compose.Bool
		case "stringArray":
			kind = compose.List
		}
		switch {
		case f.Name == "net":
			s.Machine[f.Name] = compose.Options
		case slices.Contains(hostKeys, f.Name):
			s.Host[f.Name] = kind
		case !slices.Contains(noKeys, f.Name):
			s.Machine[f.Name] = kind
		}
	})
	return s
}

func newFlags() *pflag.FlagSet {
	fl := pflag.NewFlagSet("machine", pflag.ContinueOnError)
	new(runFlags).register(fl)
	return fl
}

// upFile is a file that was read and checked.
type upFile struct {
	path    string // absolute
	title   string // what its machines are called together
	host    doppel.HostConfig
	members []*member
	placed  func(error) error // says where a mistake is that is not a machine's
}

// findFile is doppel.yaml, or the file that is named.
func findFile(name string) (string, error) {
	if name != "" {
		return name, nil
	}
	for _, n := range []string{"doppel.yaml", "doppel.yml"} {
		if _, err := os.Stat(n); err == nil {
			return n, nil
		}
	}
	return "", usageError{errors.New("there is no doppel.yaml in this folder; name a file with --file")}
}

// loadFile reads a file and checks all that can be checked without opening
// anything. It goes to the file's folder: that is where its paths begin.
func loadFile(name string, stderr io.Writer) (*upFile, error) {
	name, err := findFile(name)
	if err != nil {
		return nil, err
	}
	path, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	data, err := readSmall(path)
	if err != nil {
		return nil, usageError{fmt.Errorf("%s: %w", name, err)}
	}
	f, err := compose.Parse(name, data, fileSchema())
	if err != nil {
		return nil, usageError{err}
	}
	if err := os.Chdir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	u := &upFile{path: path, title: f.Title, placed: placedHost(f)}
	if u.title == "" {
		u.title = filepath.Base(filepath.Dir(path))
	}
	if err := u.fill(f, stderr); err != nil {
		return nil, err
	}
	return u, u.check(f)
}

func readSmall(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errors.New("there is no such file")
	case errors.Is(err, fs.ErrPermission):
		return nil, errors.New("permission to read it is denied")
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("is not a regular file")
	}
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrPermission) {
		return nil, errors.New("permission to read it is denied")
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, compose.MaxSize+1))
}

// fill makes configurations of what the file says.
func (u *upFile) fill(f *compose.File, stderr io.Writer) error {
	host := &runFlags{}
	if _, err := host.take(f, &f.Host); err != nil {
		return err
	}
	var err error
	if u.host, err = host.hostConfig(stderr); err != nil {
		return placed(f, &f.Host)(err)
	}
	for _, s := range f.Networks {
		n := doppel.Network{Name: s.Name}
		for _, set := range s.Settings {
			if err := n.Set(set.Key, set.Values[0].Text); err != nil {
				return usageError{f.Errorf(set.Values[0].Pos, "%s: %v", set.Key, err)}
			}
		}
		u.host.Networks = append(u.host.Networks, n)
	}
	for i := range f.Machines {
		if err := u.addMachine(f, &f.Machines[i]); err != nil {
			return err
		}
	}
	return nil
}

// defaultNetwork is what connects machines if the file describes no network.
const defaultNetwork = "default"

// take sets flags from a section of the file.
func (f *runFlags) take(file *compose.File, s *compose.Section) (*pflag.FlagSet, error) {
	fl := pflag.NewFlagSet("machine", pflag.ContinueOnError)
	f.register(fl)
	for _, set := range s.Settings {
		for _, v := range set.Values {
			if set.Key == keyImage {
				continue
			}
			if err := fl.Set(set.Key, v.Text); err != nil {
				return nil, usageError{file.Errorf(v.Pos, "%s %q: want %s", set.Key, v.Text, wanted(fl.Lookup(set.Key)))}
			}
		}
	}
	return fl, nil
}

// addMachine adds the members that a section describes.
func (u *upFile) addMachine(f *compose.File, s *compose.Section) error {
	flags := &runFlags{}
	fl, err := flags.take(f, s)
	if err != nil {
		return err
	}
	at := placed(f, s)
	image := ""
	if set := s.Find(keyImage); set != nil {
		image = set.Values[0].Text
	}
	switch n := flags.count; {
	case n < 1 || n > maxCount:
		return at(usageError{fmt.Errorf("--count %d: want 1 to %d", n, maxCount)})
	case n > 1 && image != "" && !flags.ephemeral:
		return at(usageError{fmt.Errorf("--count %d: %d machines cannot write to the disk of one image; add ephemeral: true", n, n)})
	}
	if len(flags.nets) == 0 {
		net, err := u.usualNet(f, s)
		if err != nil {
			return err
		}
		flags.nets = []string{net}
	}
	count := flags.count
	for i := range count {
		m := &member{name: s.Name, image: image, placed: at}
		if count > 1 {
			m.name = fmt.Sprintf("%s-%d", s.Name, i+1)
		}
		m.flags = flags.fill(m.name)
		if m.cfg, err = m.flags.config(fl); err != nil {
			return at(err)
		}
		m.cfg.Name = m.name
		u.members = append(u.members, m)
	}
	return nil
}

// usualNet is the card of a machine for which the file names none: on the one
// network of the file, or on one that is there for this.
func (u *upFile) usualNet(f *compose.File, s *compose.Section) (string, error) {
	switch len(f.Networks) {
	case 0:
		if len(u.host.Networks) == 0 {
			u.host.Networks = []doppel.Network{{Name: defaultNetwork}}
		}
		return "switch=" + defaultNetwork, nil
	case 1:
		return "switch=" + f.Networks[0].Name, nil
	}
	return "", usageError{f.Errorf(s.Pos, "machine %s: net is missing, and there are %d networks: name the one it is on, such as net: switch=%s, or user, or none", s.Name, len(f.Networks), f.Networks[0].Name)}
}

// check looks at all machines together.
func (u *upFile) check(f *compose.File) error {
	var all []doppel.Config
	for _, m := range u.members {
		all = append(all, m.cfg)
	}
	for i, m := range u.members {
		for _, o := range u.members[:i] {
			if m.image != "" && m.image == o.image && !(m.flags.ephemeral && o.flags.ephemeral) {
				return m.place(&doppel.ConfigError{Field: "Image", Value: m.image, Reason: fmt.Sprintf("machine %q has this image, and one of them is to write to its disk: add ephemeral: true to both", o.name)})
			}
		}
	}
	i, err := doppel.CheckHost(u.host, all)
	switch {
	case err == nil:
		return nil
	case i >= 0:
		return u.members[i].place(err)
	}
	return u.placed(err)
}

// placedHost returns a function that says where in the file a mistake is that
// is not a machine's.
func placedHost(f *compose.File) func(error) error {
	return func(err error) error {
		var bad *doppel.ConfigError
		if errors.As(err, &bad) {
			key := strings.ToLower(bad.Field)
			for i := range f.Networks {
				set := f.Networks[i].Find(key)
				if set != nil && set.Values[0].Text == bad.Value {
					return usageError{f.Errorf(set.Values[0].Pos, "%s %q: %s", key, bad.Value, bad.Reason)}
				}
			}
		}
		return placed(f, &f.Host)(err)
	}
}

// placed returns a function that says where in a section a mistake is.
func placed(f *compose.File, s *compose.Section) func(error) error {
	return func(err error) error {
		var there *compose.Error
		if errors.As(err, &there) {
			return err
		}
		var bad *doppel.ConfigError
		if errors.As(err, &bad) {
			key := strings.TrimPrefix(flagOf(bad.Field), "--")
			if v := findSetting(s, key, bad.Value); v != nil {
				text := bad.Value
				if len(s.Find(key).Values) == 1 {
					text = v.Text // as it stands there: 1M, not 1048576
				}
				return usageError{f.Errorf(v.Pos, "%s %q: %s", key, text, bad.Reason)}
			}
			if s.Name == "" {
				return err // of the host, and not in the file
			}
			return usageError{f.Errorf(s.Pos, "machine %s: %s %q: %s", s.Name, key, bad.Value, bad.Reason)}
		}
		pos := s.Pos
		text := err.Error()
		if m := leadingFlag.FindStringSubmatch(text); m != nil {
			text = strings.TrimPrefix(text, "--")
			if v := findSetting(s, m[1], ""); v != nil {
				pos = v.Pos
			}
		}
		var usage usageError
		if errors.As(err, &usage) {
			return usageError{f.Errorf(pos, "%s", text)}
		}
		return fmt.Errorf("%w", f.Errorf(pos, "%s", text))
	}
}

var leadingFlag = regexp.MustCompile(`^(?:--)?([a-z-]+)`)

// findSetting finds where a value is, or else its key, or one that begins with
// the value (as a disk's path does); nil if neither is there.
func findSetting(s *compose.Section, key, value string) *compose.Value {
	set := s.Find(key)
	if set == nil || len(set.Values) == 0 {
		return nil
	}
	for i := range set.Values {
		if set.Values[i].Text == value {
			return &set.Values[i]
		}
	}
	for i := range set.Values {
		if value != "" && strings.HasPrefix(set.Values[i].Text, value) {
			return &set.Values[i]
		}
	}
	return &set.Values[0]
}
