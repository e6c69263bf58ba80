package graceshut

// #include "bridge.h"
import "C"

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// Go's handler, called after ours, applies a signal's default action when nobody has asked for that signal: the process would
// be gone before the first hook (embedding D30). So this package asks for every signal that graceshut takes, on a channel that
// nobody reads: os/signal never waits for a reader.
var private = make(chan os.Signal, 1)

// graceshutGoChain is asked for each signal before graceshut takes it: whether the handler found there is to be called after
// ours. In a library inside somebody else's process (buildmode c-shared) that handler is the host's: it is chained as it is,
// and Go, which would put its own in its place, is left out. An inherited "ignore" is the user's choice (nohup).
//
//export graceshutGoChain
func graceshutGoChain(signo C.int) C.int {
	switch C.gs_go_handler_of(signo) {
	case C.GS_GO_OURS, C.GS_GO_DEFAULT:
		signal.Notify(private, syscall.Signal(signo))
	case C.GS_GO_FOREIGN:
		hosts.Store(signo, true)
	}
	return C.GRACESHUT_CHAIN_ALWAYS
}

// hosts are the signals for which the process that this library is a guest of had a handler before.
var hosts sync.Map // C.int

// tellOfHosts: where such a host handles the signal it may be stopping by itself, and is given until D (docs/spec.md 6.6). Of Go's
// own listeners nothing can be known: see Leave.
func (rt *Runtime) tellOfHosts() {
	hosts.Range(func(signo, _ any) bool {
		C.graceshut_set_own_handler(rt.gs, signo.(C.int), 1) // fails for a closed runtime alone
		return true
	})
}

// stopPrivate gives back what graceshutGoChain asked for; the kernel holds Go's handler again by then.
func stopPrivate() { signal.Stop(private) }
