package doppel_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"strings"
	"sync"

	"doppel"
)

// A machine without a kernel boots the small guest inside the package. Here it
// is given a command and then switched off, and its console is kept.
func Example() {
	var console bytes.Buffer
	m, err := doppel.New(doppel.Config{
		Memory:  64 << 20,
		Console: doppel.Stream(strings.NewReader("echo hello from inside\npoweroff\n"), &console),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	result, err := m.Run(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the guest said hello:", strings.Contains(console.String(), "\nhello from inside"))
	fmt.Println("it ended with:", result.Reason)
	// Output:
	// the guest said hello: true
	// it ended with: power-off
}

// Several machines share a host. Here each says its name and ends; with kernels
// that have a network, they would find each other on the switch.
func ExampleHost() {
	h, err := doppel.NewHost(doppel.HostConfig{Networks: []doppel.Network{{Name: "lan0"}}})
	if err != nil {
		log.Fatal(err)
	}
	defer h.Close()
	for _, name := range []string{"web", "db", "cache"} {
		input := strings.NewReader("poweroff\n")
		if _, err := h.New(doppel.Config{Name: name, Memory: 16 << 20, Net: "switch=lan0", Console: doppel.Stream(input, io.Discard)}); err != nil {
			log.Fatal(err)
		}
	}
	var all sync.WaitGroup
	for _, m := range h.Machines() {
		all.Go(func() { m.Run(context.Background()) })
	}
	all.Wait()
	for _, m := range h.Machines() {
		fmt.Println(m.Name(), m.Addr(0), m.Status())
	}
	// Output:
	// web 10.0.2.15 stopped
	// db 10.0.2.16 stopped
	// cache 10.0.2.17 stopped
}

// A configuration that cannot be is refused with the field, the value and what
// to do.
func ExampleConfigError() {
	_, err := doppel.New(doppel.Config{CPUs: 1000})
	fmt.Println(err)
	// Output:
	// CPUs "1000": must be 1 to 64
}
