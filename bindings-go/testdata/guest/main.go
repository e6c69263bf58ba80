// A Go library inside somebody else's process, which installs graceshut there: buildmode c-shared.
package main

import "C"

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/graceshut/graceshut/bindings-go"
)

//export GuestInstall
func GuestInstall() C.int {
	gs, err := graceshut.Install()
	if err != nil {
		fmt.Println(err)
		return 1
	}
	_, err = gs.Hook(graceshut.Flush, "guest", func(ctx graceshut.Context) error {
		fmt.Println("guest's hook after", ctx.Signal())
		return nil
	})
	if err != nil {
		return 1
	}
	return 0
}

// GuestListens is what another package in the library may do, before or after.
//
//export GuestListens
func GuestListens() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGTERM)
	go func() { fmt.Println("guest heard", <-c) }()
}

func main() {}
