package compose

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

var schema = Schema{
	Host:    Keys{"memory-limit": Text},
	Machine: Keys{"image": Text, "memory": Text, "cpus": Text, "ephemeral": Bool, "disk": List, "net": Options, "publish": List, "append": Text},
	Network: Keys{"uplink": Text, "capture": Text},
}

// text is a file as it was understood.
func (f *File) text() string {
	var sb strings.Builder
	section := func(what string, s Section) {
		fmt.Fprintf(&sb, "%s %s:%d", what, s.Name, s.Pos.Line)
		for _, set := range s.Settings {
			fmt.Fprintf(&sb, " %s", set.Key)
			for _, v := range set.Values {
				fmt.Fprintf(&sb, "=%q@%d:%d", v.Text, v.Pos.Line, v.Pos.Column)
			}
		}
		sb.WriteByte('\n')
	}
	fmt.Fprintf(&sb, "%s\n", f.Title)
	section("host", f.Host)
	for _, n := range f.Networks {
		section("network", n)
	}
	for _, m := range f.Machines {
		section("machine", m)
	}
	return sb.String()
}

func TestParse(t *testing.T) {
	const file = `# what it is
name: demo
memory-limit: 4G
networks:
  lan0:
  lan1: {uplink: none, capture: a b.pcapng}
defaults:
  memory: 256M
  cpus: 2
machines:
  web:
    image: debian:trixie
    memory: "1G"
    ephemeral: true
    publish: [8080:80, "2222:22"]
    net:
      - switch=lan0,vlan=10
      - {vlan: 20, switch: lan1, mac: 52:54:00:00:00:01, locked: true}
      - switch: lan1
        trunk: [10, 20-30]
        locked: false
  db:
    disk: data.raw
    append: >
      console=ttyS0
      quiet
  cache:
`
	f, err := Parse("doppel.yaml", []byte(file), schema)
	if err != nil {
		t.Fatal(err)
	}
	const want = `demo
host :0 memory-limit="4G"@3:15
network lan0:5
network lan1:6 uplink="none"@6:18 capture="a b.pcapng"@6:33
machine web:11 image="debian:trixie"@12:12 memory="1G"@13:13 ephemeral="true"@14:16 publish="8080:80"@15:15="2222:22"@15:24 net="switch=lan0,vlan=10"@17:9="switch=lan1,vlan=20,mac=52:54:00:00:00:01,locked"@18:9="switch=lan1,trunk=10+20-30"@19:9 cpus="2"@9:9
machine db:22 disk="data.raw"@23:11 append="console=ttyS0 quiet"@24:13 memory="256M"@8:11 cpus="2"@9:9
machine cache:27 memory="256M"@8:11 cpus="2"@9:9
`
	if got := f.text(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Whatever is wrong: one sentence with the place.
func TestBadFiles(t *testing.T) {
	for name, c := range map[string]struct{ file, place, words string }{
		"empty":              {"", "", "no machine"},
		"comment":            {"# nothing\n", "", "no machine"},
		"no machines":        {"networks:\n  a:\n", "", "no machine"},
		"machines empty":     {"machines:\n", "", "no machine"},
		"list":               {"- a\n", "1:", "mapping"},
		"text":               {"hello", "1:1", "mapping"},
		"unknown":            {"machines:\n  a:\nmachnes:\n  b:\n", "3:1", `"machnes"; the file has defaults, machines, memory-limit, name, networks`},
		"unknown in machine": {"machines:\n  a:\n    memry: 1G\n", "3:5", `"memry"; a machine has append, cpus`},
		"unknown in network": {"networks:\n  n:\n    speed: 1\nmachines:\n  a:\n", "3:5", `"speed"; a network has capture, uplink`},
		"unknown in default": {"defaults:\n  speed: 1\nmachines:\n  a:\n", "2:3", "defaults"},
		"twice":              {"machines:\n  a:\n    cpus: 1\n    cpus: 2\n", "4:5", "cpus"},
		"machine twice":      {"machines:\n  a:\n  b:\n  a:\n", "4:3", "a"},
		"machine name":       {"machines:\n  a b:\n", "2:3", "1 to 63"},
		"file name":          {"name: ../x\nmachines:\n  a:\n", "1:7", "1 to 63"},
		"no value":           {"machines:\n  a:\n    memory:\n", "3:5", "no value"},
		"list for text":      {"machines:\n  a:\n    memory: [1G, 2G]\n", "3:13", "one value"},
		"mapping for text":   {"machines:\n  a:\n    memory: {a: b}\n", "3:13", "one value"},
		"mapping for list":   {"machines:\n  a:\n    disk: [{a: b}]\n", "3:12", "one value"},
		"list for machine":   {"machines:\n  a: [1]\n", "2:6", "mapping"},
		"list of machines":   {"machines:\n  - a\n", "2:", "mapping"},
		"bool":               {"machines:\n  a:\n    ephemeral: yes\n", "3:16", "true or false"},
		"comma":              {"machines:\n  a:\n    net: [{switch: \"a,b\"}]\n", "3:", "commas"},
		"anchor":             {"defaults: &d\n  cpus: 1\nmachines:\n  a: *d\n", "1:", "anchors"},
		"merge":              {"machines:\n  a:\n    <<: {cpus: 1}\n", "3:5", "merges"},
		"tag":                {"machines:\n  a:\n    cpus: !!str 1\n", "3:", "tags"},
		"two documents":      {"machines:\n  a:\n---\nmachines:\n  b:\n", "4:1", "second document"},
		"syntax":             {"machines:\n  a: [1,\n", "", "YAML"},
		"tab":                {"machines:\n\ta:\n", "2:", "YAML"},
		"indent":             {"machines:\n    a:\n  b:\n", "3:", ""},
		"not text":           {"machines:\n  a: \xff\n", "", "UTF-8"},
		"deep":               {strings.Repeat("[", 100000), "1:33", "deeper"},
		"deep dashes":        {strings.Repeat("- ", 50000), "1:", "deeper"},
		"long":               {strings.Repeat("#", MaxSize+1), "", "256 KiB"},
	} {
		_, err := Parse("d.yaml", []byte(c.file), schema)
		var e *Error
		prefix := "d.yaml: "
		if c.place != "" {
			prefix = "d.yaml:" + c.place
		}
		if !errors.As(err, &e) || !strings.HasPrefix(err.Error(), strings.TrimSuffix(prefix, " ")) || !strings.Contains(err.Error(), c.words) || strings.ContainsAny(err.Error(), "\n\x00") {
			t.Errorf("%s: %v; want %s with %q", name, err, prefix, c.words)
		}
	}
}

// FuzzParse: whatever the file, an answer, and errors of one line.
func FuzzParse(f *testing.F) {
	f.Add([]byte("name: demo\nnetworks:\n  lan0: {uplink: user}\nmachines:\n  a:\n    cpus: 2\n    net: [{switch: lan0}, user]\n  b: {disk: [x, y], ephemeral: true}\n"))
	f.Add([]byte("machines: {a: &x, b: *x, ? c : !!d |\n e\n}"))
	f.Add([]byte("defaults:\n  append: >-\n    a\n    b\n---\n%YAML 1.2\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse("d.yaml", data, schema)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || strings.ContainsAny(err.Error(), "\n\r\x1b") {
				t.Fatalf("%q", err)
			}
			return
		}
		if len(file.Machines) == 0 {
			t.Fatal("no machine and no error")
		}
		for _, m := range file.Machines {
			for _, s := range m.Settings {
				if _, ok := schema.Machine[s.Key]; !ok {
					t.Fatalf("setting %q", s.Key)
				}
			}
		}
	})
}
