// Writes a final state file, whole or not at all: why the process ended and which hooks did not. Go.
//
//	[[hook]]
//	phase = "final"
//	name = "state"
//	timeout = "2s"
//	[hook.wasm]
//	path = "state.wasm"
//	dirs = { "/state" = "/var/lib/app:rw" }
//	config = { file = "web-1.json", version = "1.4.2" }
//	clock = true                               # Go's runtime imports both
//	random = true
//
// config: file (final.json without), version (said in the file).
package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unsafe"
)

//go:wasmimport graceshut_v1 log
func log(level int32, text unsafe.Pointer, size int32)

//go:wasmimport graceshut_v1 set_error
func setError(text unsafe.Pointer, size int32)

//go:wasmimport graceshut_v1 signal_number
func signalNumber() int32

//go:wasmimport graceshut_v1 context_read
func contextRead(key unsafe.Pointer, keySize int32, out unsafe.Pointer, size int32) int32

// read is the text of a key; empty when there is none.
func read(key string) string {
	out := make([]byte, 8192)
	size := contextRead(unsafe.Pointer(unsafe.StringData(key)), int32(len(key)), unsafe.Pointer(&out[0]), int32(len(out)))
	return string(out[:max(0, min(int(size), len(out)))])
}

type state struct {
	RunID   string `json:"run_id"`
	Reason  string `json:"reason"`
	Message string `json:"message,omitempty"`
	Signal  int32  `json:"signal,omitempty"`
	Version string `json:"version,omitempty"`
	// The hooks that still run although their time is over.
	Abandoned []string  `json:"abandoned"`
	Ended     time.Time `json:"ended"`
}

func lines(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })
}

// write puts it beside, to the disk, and there in one step.
func write(path string, text []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".state-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // nothing is left when it was moved
	_, err = file.Write(text)
	if err == nil {
		err = file.Sync()
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	return err
}

//go:wasmexport run
func run(reason int32) int32 {
	name := read("config.file")
	if name == "" {
		name = "final.json"
	}
	text, err := json.MarshalIndent(state{
		RunID: read("run_id"), Reason: read("reason"), Message: read("message"), Signal: signalNumber(),
		Version: read("config.version"), Abandoned: lines(read("abandoned")), Ended: time.Now().UTC(),
	}, "", "  ")
	if err == nil {
		err = write(filepath.Join("/state", name), append(text, '\n'))
	}
	if err != nil {
		why := err.Error()
		setError(unsafe.Pointer(unsafe.StringData(why)), int32(len(why)))
		return 1
	}
	said := "wrote " + name
	log(2, unsafe.Pointer(unsafe.StringData(said)), int32(len(said)))
	return 0
}

func main() {}
