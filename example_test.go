package doppel_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"strings"
	"time"

	"doppel"
)

// Boot the guest that is inside the library, type two commands, and read what
// it says.
func Example() {
	var out bytes.Buffer
	m, err := doppel.New(doppel.Config{
		Memory:  64 << 20,
		Console: doppel.Stream(strings.NewReader("echo hello from inside\rpoweroff\r"), &out),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	result, err := m.Run(ctx)
	if err != nil {
		log.Fatal(err)
	}

	fmt.Println(result.Reason, result.Code)
	for line := range strings.Lines(strings.ReplaceAll(out.String(), "\r", "")) {
		if strings.HasPrefix(line, "memory") || strings.HasPrefix(line, "hello") {
			fmt.Print(line)
		}
	}
	// Output:
	// power-off 0
	// memory       64 MiB; pattern test of the last one: ok
	// hello from inside
}

// A guest's own fail code is the machine's result.
func ExampleMachine_Run() {
	m, err := doppel.New(doppel.Config{Console: doppel.Stream(strings.NewReader("exit 7\r"), &bytes.Buffer{})})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	result, err := m.Run(context.Background())
	fmt.Println(result.Reason, result.Code, err)
	// Output: finished 7 <nil>
}
