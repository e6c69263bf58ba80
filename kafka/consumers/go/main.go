// franz-go: batches of 500 records or 5 s, written, then committed.
package main

import (
	"log"
	"os"

	graceshut "github.com/graceshut/graceshut/bindings-go"
	"github.com/graceshut/graceshut/bindings-go/franz"
)

func main() {
	gs, err := graceshut.Install()
	if err != nil {
		log.Fatal(err)
	}
	go franz.Batches{Runtime: gs, Write: bulk}.Run(clientOptions(os.Getenv("TOPIC"))...)
	gs.Wait()
}
