// franz-go: batches of 500 records or 5 s, written, then committed.
package main

import (
	"log"
	"os"
	"time"

	graceshut "github.com/graceshut/graceshut/bindings-go"
	"github.com/graceshut/graceshut/bindings-go/franz"
)

func main() {
	gs, err := graceshut.Install()
	if err != nil {
		log.Fatal(err)
	}
	gs.Main(func() error {
		return franz.Batches{Runtime: gs, Write: bulk, Retry: time.Second}.Run(clientOptions(os.Getenv("TOPIC"))...)
	})
}
