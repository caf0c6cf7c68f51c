package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever is wrong with doppel.yaml: one sentence with its line, status 2,
// and nothing was started.
func TestBadFile(t *testing.T) {
	t.Parallel()
	p := newProject(t, "machines:\n  a:\n")
	p.write("kernel", string(fakeImage()))
	p.write("text", "not a capture")
	p.write("disk.raw", strings.Repeat("\x00", 4096))
	const mac = "52:54:00:00:00:01"
	for name, c := range map[string]struct {
		file  string
		words []string
	}{
		"empty":            {"", []string{"f.yaml: ", "machine"}},
		"not YAML":         {"machines: [", []string{"f.yaml:1:", "YAML"}},
		"unknown key":      {"machines:\n  a:\n    memry: 1G\n", []string{"f.yaml:3:5", "memry", "memory"}},
		"unknown section":  {"machine:\n  a:\n", []string{"f.yaml:1:1", "machine", "machines"}},
		"neither nor":      {"machines:\n  a:\n    ephemeral: maybe\n", []string{"f.yaml:3:16", "maybe", "true or false"}},
		"not a number":     {"machines:\n  a:\n    cpus: two\n", []string{"f.yaml:3:11", "two", "whole number"}},
		"no cpus":          {"machines:\n  a:\n    cpus: 0\n", []string{"f.yaml:3:11", "cpus 0", "1 to 64"}},
		"memory":           {"machines:\n  a:\n    memory: lots\n", []string{"f.yaml:3:13", "lots", "512M"}},
		"memory small":     {"machines:\n  a:\n    memory: 1M\n", []string{"f.yaml:3:13", "1M", "4 MiB"}},
		"memory sum":       {"memory-policy: strict\nmemory-limit: 64M\nmachines:\n  a:\n    memory: 48M\n  b:\n    memory: 48M\n", []string{"f.yaml:7:13", "48M", "64 MiB"}},
		"memory policy":    {"memory-policy: maybe\nmachines:\n  a:\n", []string{"f.yaml:1:16", "maybe", "strict"}},
		"weight":           {"machines:\n  a:\n    cpu-weight: 0\n", []string{"f.yaml:3:17", "0", "10000"}},
		"cap":              {"machines:\n  a:\n    cpu-cap: much\n", []string{"f.yaml:3:14", "much", "50%"}},
		"affinity":         {"machines:\n  a:\n    cpu-affinity: 99999\n", []string{"f.yaml:3:19", "99999"}},
		"engine":           {"machines:\n  a:\n    engine: warp\n", []string{"f.yaml:3:13", "warp", "jit"}},
		"kernel":           {"machines:\n  a:\n    kernel: nowhere\n", []string{"f.yaml:3:13", "nowhere", "no such file"}},
		"image":            {"machines:\n  a:\n    image: no/such\n", []string{"f.yaml:", "no/such"}},
		"image twice":      {"machines:\n  a:\n    image: x\n  b:\n    image: x\n", []string{"f.yaml:5:12", `machine "a"`, "ephemeral"}},
		"image and kernel": {"machines:\n  a:\n    image: x\n    kernel: kernel\n", []string{"f.yaml:4:13", "kernel"}},
		"count":            {"machines:\n  a:\n    count: 0\n", []string{"f.yaml:3:12", "count 0", "1 to 200"}},
		"name twice":       {"machines:\n  a:\n  a:\n", []string{"f.yaml:3:3", "a"}},
		"name by count":    {"machines:\n  a:\n    count: 2\n  a-1:\n", []string{"f.yaml:4:3", "a-1", "unique"}},
		"name":             {"machines:\n  a b:\n", []string{"f.yaml:2:3", "a b", "letters"}},
		"network":          {"machines:\n  a:\n    net: switch=lan9\n", []string{"f.yaml:3:10", "lan9"}},
		"network missing":  {"networks: {x: , y: }\nmachines:\n  a:\n", []string{"f.yaml:3:3", "net", "switch=x"}},
		"network key":      {"networks:\n  x:\n    speed: 1G\nmachines:\n  a:\n", []string{"f.yaml:3:5", "speed", "uplink"}},
		"uplink":           {"networks:\n  x:\n    uplink: bridge\nmachines:\n  a:\n", []string{"f.yaml:3:13", "bridge", "user or none"}},
		"subnet":           {"networks:\n  x:\n    subnet: 8.8.8.0/24\nmachines:\n  a:\n", []string{"f.yaml:3:13", "8.8.8.0/24", "private"}},
		"VLAN":             {"networks:\n  x:\nmachines:\n  a:\n    net: {switch: x, vlan: 5000}\n", []string{"f.yaml:5:", "5000", "4094"}},
		"MAC":              {"networks:\n  x:\nmachines:\n  a:\n    net: {switch: x, mac: here}\n", []string{"f.yaml:5:", "here", "52:54:00:12:34:56"}},
		"MAC twice":        {"networks:\n  x:\nmachines:\n  a:\n    net: switch=x,mac=" + mac + "\n  b:\n    net: switch=x,mac=" + mac + "\n", []string{"f.yaml:7:10", mac, `"a"`}},
		"rate":             {"networks:\n  x:\nmachines:\n  a:\n    net: switch=x,rate=fast\n", []string{"f.yaml:5:10", "fast", "10M"}},
		"port twice":       {"machines:\n  a:\n    publish: \"8080:80\"\n  b:\n    publish: \"8080:81\"\n", []string{"f.yaml:5:14", "8080", `"a"`}},
		"port":             {"machines:\n  a:\n    publish: \"80\"\n", []string{"f.yaml:3:14", "80", "8080:80"}},
		"port to nowhere":  {"networks: {x: {uplink: none}}\nmachines:\n  a:\n    publish: \"8080:80\"\n", []string{"f.yaml:4:14", "user network"}},
		"disk twice":       {"machines:\n  a:\n    kernel: kernel\n    disk: disk.raw\n  b:\n    kernel: kernel\n    disk: ./disk.raw,ro\n", []string{"f.yaml:7:11", "disk.raw", `"a"`}},
		"disk missing":     {"machines:\n  a:\n    kernel: kernel\n    disk: none.raw\n", []string{"f.yaml:4:11", "none.raw", "does not exist"}},
		"console":          {"machines:\n  a:\n    console: radio\n", []string{"f.yaml:3:14", "radio", "stdio"}},
		"bool":             {"machines:\n  a:\n    ephemeral: maybe\n", []string{"f.yaml:3:16", "maybe", "true or false"}},
		"capture":          {"networks:\n  x: {capture: text}\nmachines:\n  a:\n", []string{"f.yaml:2:16", "text", "not a capture"}},
	} {
		p.write("f.yaml", c.file)
		out, e, status := p.run("up", "--file", "f.yaml")
		if status != 2 || out != "" {
			t.Errorf("%s: status %d, output %q", name, status, out)
		}
		sentence(t, []string{name}, e, c.words...)
	}
	if b := readFile(t, filepath.Join(p.dir, "text")); string(b) != "not a capture" {
		t.Errorf("a file was replaced: %q", b)
	}
	if all := p.ps(); len(all) != 0 {
		t.Errorf("something runs: %+v", all)
	}

	// One that cannot be had, after others that can: all are undone. The error
	// comes from the process that was to run them.
	p.write("doppel.yaml", "machines:\n  a:\n  b:\n    kernel: text\n")
	_, e, status := p.run("up", "-d")
	if status != 2 {
		t.Errorf("status %d", status)
	}
	sentence(t, []string{"up -d"}, e, "doppel.yaml:4:13", "text")
	if all := p.ps(); len(all) != 0 {
		t.Errorf("something runs: %+v", all)
	}
	for _, c := range []struct {
		args  []string
		words []string
	}{
		{[]string{"up", "--file", "none.yaml"}, []string{"none.yaml", "no such file"}},
		{[]string{"up", "--file", "."}, []string{"regular file"}},
		{[]string{"up", "extra"}, []string{"no arguments"}},
		{[]string{"down", "--file", "f.yaml", "--timeout", "-1s"}, []string{"-1s", "1h"}},
		{[]string{"down", "--timeout", "soon"}, []string{"soon"}},
		{[]string{"console", "nobody"}, []string{"nobody"}},
		{[]string{"run", "--count", "0"}, []string{"--count 0", "200"}},
		{[]string{"run", "--count", "2", "--publish", "8080:80"}, []string{"8080", "guest-1"}},
		{[]string{"run", "--count", "2", "--net", "switch=x,mac=" + mac}, []string{mac, "guest-1"}},
		{[]string{"run", "--count", "2", "--kernel", "kernel", "--disk", "disk.raw"}, []string{"disk.raw", "kernel-1"}},
		{[]string{"run", "debian:trixie", "--count", "2"}, []string{"--count 2", "--ephemeral"}},
		{[]string{"run", "--net", "switch=x,colour=red"}, []string{"--net", "colour", "vlan"}},
		{[]string{"run", "--net", "user", "--net", "none"}, []string{"--net", "none"}},
		{[]string{"run", "--switch", "x,uplink=bridge"}, []string{"--switch", "bridge", "none"}},
		{[]string{"run", "--switch", "x,speed=1"}, []string{"--switch", "speed", "uplink"}},
		{[]string{"run", "--switch", "a b"}, []string{"--switch", "a b", "letters"}},
		{[]string{"run", "--switch", "x,capture=text"}, []string{"--switch", "text", "not a capture"}},
		{[]string{"run", "--name", "a b"}, []string{"--name", "a b", "spaces"}},
	} {
		_, e, status := p.run(c.args...)
		if status != 2 {
			t.Errorf("doppel %q: status %d", c.args, status)
		}
		sentence(t, c.args, e, c.words...)
	}
	if err := os.Remove(filepath.Join(p.dir, "doppel.yaml")); err != nil {
		t.Fatal(err)
	}
	_, e, _ = p.run("up")
	sentence(t, []string{"up"}, e, "doppel.yaml", "--file")
}
