package system

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"doppel/internal/riscv"
	"doppel/test/bare"
	"doppel/test/oracle"
)

// ramSize is the RAM of both machines.
const ramSize = 16 << 20

// cpuModel is a processor with what a hart of ours has and nothing else that
// shows in the state compared.
const cpuModel = "rv64,h=false,v=false,sscofpmf=true,svadu=true,svade=false,svinval=true,svnapot=true,svpbmt=true,zacas=true,zicond=true," +
	"zimop=true,zcmop=true,zcb=true,zfhmin=true,zbkb=true,zbc=true,zkr=true,zicboz=true,zicbom=true,zawrs=true,zfa=true," +
	"smstateen=true,sstc=true,pmu-mask=0xfffffff8"

// machine is a QEMU that stands still.
type machine struct {
	*gdb
	ram *os.File // its RAM
}

// start runs QEMU until the test ends.
func start(t *testing.T, q *oracle.QEMU) *machine {
	t.Helper()
	// A Unix socket's path must be short.
	dir, err := os.MkdirTemp("", "doppel")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	ram, err := os.Create(filepath.Join(dir, "ram"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ram.Close() })
	if err := ram.Truncate(ramSize); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "gdb")
	cmd := q.Command("-M", "virt,memory-backend=ram", "-m", fmt.Sprint(ramSize>>20), "-cpu", cpuModel,
		"-object", fmt.Sprintf("memory-backend-file,id=ram,size=%d,mem-path=%s,share=on", ramSize, ram.Name()),
		"-bios", "none", "-display", "none", "-monitor", "none", "-serial", "none", "-nodefaults",
		"-S", "-gdb", "unix:"+socket+",server=on,wait=off")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { stop(cmd, ended) })
	for range 500 {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%v: %v\n%s", q, err, errs.Bytes())
		case <-time.After(20 * time.Millisecond):
		}
		if g, err := dial(socket); err == nil {
			t.Cleanup(func() { g.c.Close() })
			return &machine{gdb: g, ram: ram}
		}
	}
	t.Fatalf("%v does not open its gdb port\n%s", q, errs.Bytes())
	return nil
}

func stop(cmd *exec.Cmd, ended chan error) {
	_ = cmd.Process.Kill() // it may have ended by itself
	<-ended
}

// breakpoint stops the machine at an address.
func (m *machine) breakpoint(pc uint64) error { return m.do(fmt.Sprintf("Z0,%x,4", pc)) }

// fill writes memory that holds no code.
func (m *machine) fill(addr uint64, data []byte) error {
	_, err := m.ram.WriteAt(data, int64(addr-bare.Base))
	return err
}

func (m *machine) fetch(addr uint64, data []byte) error {
	_, err := m.ram.ReadAt(data, int64(addr-bare.Base))
	return err
}

// execute runs a program and returns the state that it ends in.
func (m *machine) execute(p *program) (*state, error) {
	for _, piece := range p.memory() {
		if err := m.fill(piece.addr, piece.data); err != nil {
			return nil, err
		}
	}
	if err := m.store(codeAt, p.code()); err != nil {
		return nil, err
	}
	if err := m.write(m.regs["priv"], uint64(riscv.Machine)); err != nil {
		return nil, err
	}
	if err := m.write(m.regs["pc"], setupAt); err != nil {
		return nil, err
	}
	if err := m.run(); err != nil {
		return nil, err
	}
	s := &state{}
	g, err := m.general()
	if err != nil {
		return nil, err
	}
	copy(s.x[:], g[:32])
	s.pc = g[32]
	priv, err := m.read(m.regs["priv"])
	if err != nil {
		return nil, err
	}
	s.priv = riscv.Privilege(priv)
	// The stub checks CSR accesses against the mode: see them all.
	if err := m.write(m.regs["priv"], uint64(riscv.Machine)); err != nil {
		return nil, err
	}
	for i, c := range compared {
		if s.csr[i], err = m.read(m.csr(int(c.csr))); err != nil {
			return nil, fmt.Errorf("%v: %w", c.csr, err)
		}
		s.csr[i] &^= c.ignore
	}
	s.memory = make([]byte, watchedSize)
	return s, m.fetch(watchedAt, s.memory)
}
