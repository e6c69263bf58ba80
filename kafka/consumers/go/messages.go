//go:build ignore

// franz-go with a buffer of the program's own: what was written is called done. Built by name, with bulk.go.
package main

import (
	"context"
	"log"
	"os"
	"time"

	graceshut "github.com/graceshut/graceshut/bindings-go"
	"github.com/graceshut/graceshut/bindings-go/franz"
	"github.com/twmb/franz-go/pkg/kgo"
)

var (
	buffer []*franz.Message
	last   = time.Now()
)

func write(ctx context.Context) error {
	last = time.Now()
	var records []*kgo.Record
	for _, m := range buffer {
		if !m.Gone() { // otherwise the next member reads it
			records = append(records, m.Record)
		}
	}
	if len(records) > 0 {
		if err := bulk(ctx, records); err != nil {
			return err
		}
	}
	for _, m := range buffer {
		m.Done()
	}
	buffer = nil
	return nil
}

func writeWhenDue(ctx context.Context) error {
	if len(buffer) >= 500 || time.Since(last) >= 5*time.Second {
		return write(ctx)
	}
	return nil
}

func handle(ctx context.Context, m *franz.Message) error {
	buffer = append(buffer, m)
	return writeWhenDue(ctx)
}

func main() {
	gs, err := graceshut.Install()
	if err != nil {
		log.Fatal(err)
	}
	gs.Main(func() error {
		return franz.Messages{Runtime: gs, Handle: handle, Tick: time.Second / 2, OnTick: writeWhenDue, Finish: write}.Run(clientOptions(os.Getenv("TOPIC"))...)
	})
}
