package main

import (
	"fmt"
	"log"
	"time"

	"github.com/graceshut/graceshut/bindings-go"
)

func main() {
	gs, err := graceshut.Install(graceshut.Grace(10 * time.Second))
	if err != nil {
		log.Fatal(err)
	}
	gs.Hook(graceshut.Drain, "server", func(ctx graceshut.Context) error {
		left, _ := ctx.Remaining()
		fmt.Printf("no new work; %.1f s to finish what is there\n", left.Seconds())
		return nil
	}, graceshut.Timeout(4*time.Second))
	gs.Hook(graceshut.Flush, "buffers", func(graceshut.Context) error {
		fmt.Println("buffers written")
		return nil
	})
	fmt.Println("ready: press Ctrl-C")
	gs.Wait()
}
