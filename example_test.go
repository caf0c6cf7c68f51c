package doppel_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"strings"

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

// A configuration that cannot be is refused with the field, the value and what
// to do.
func ExampleConfigError() {
	_, err := doppel.New(doppel.Config{CPUs: 1000})
	fmt.Println(err)
	// Output:
	// CPUs "1000": must be 1 to 64
}
