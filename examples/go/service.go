// The demo service in Go: net/http's server, and a shutdown that loses nothing.
//
// GET and POST /work take about 20 ms; GET /readyz turns 503 with the signal, while /work is served on; from drain on every
// answer says Connection: close and new work gets 503. Try it:
//
//	go build -o service service.go
//	graceshut verify --ready http://127.0.0.1:8080/readyz --load http://127.0.0.1:8080/work -- ./service
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/graceshut/graceshut/bindings-go"
)

func work(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	time.Sleep(20 * time.Millisecond)
	io.WriteString(w, "done\n")
}

// said is a hook that does nothing but say so.
func said(ctx graceshut.Context) error {
	fmt.Printf("trace %s/%s\n", ctx.Phase(), ctx.Name())
	return nil
}

func main() {
	gs, err := graceshut.Install(graceshut.Grace(10 * time.Second))
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/work", work)
	mux.Handle("/readyz", gs.ReadyHandler())

	gs.Hook(graceshut.Announce, "deregister", said)
	gs.Hook(graceshut.Flush, "buffers", func(ctx graceshut.Context) error {
		time.Sleep(10 * time.Millisecond)
		return said(ctx)
	})
	gs.Hook(graceshut.Flush, "offsets", said)
	gs.Hook(graceshut.Close, "pool", said)
	gs.Hook(graceshut.Close, "files", said)
	gs.Hook(graceshut.Final, "telemetry", func(ctx graceshut.Context) error {
		fmt.Printf("trace final/telemetry after %s\n", ctx.Reason())
		return nil
	})

	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	ln, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		// Its hook in drain is named "server", and does what the listener and the connections need.
		if err := gs.Serve(&http.Server{Handler: mux}, ln); err != nil {
			log.Fatal(err)
		}
		fmt.Println("trace drain/server")
	}()
	fmt.Println("ready")
	gs.Wait()
}
