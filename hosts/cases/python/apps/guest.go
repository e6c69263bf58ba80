// A library in Go that takes SIGTERM, as SDKs in Go do.
package main

import "C"

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

//export Start
func Start() {
	heard := make(chan os.Signal, 4)
	signal.Notify(heard, syscall.SIGTERM)
	go func() {
		for range heard {
			fmt.Println("own Go heard it")
		}
	}()
}

func main() {}
