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
	if !guest() && signo != C.int(syscall.SIGHUP) {
		assumed.Store(signo, true)
	}
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

// assumed are the signals that the program may listen to: os/signal tells no package who does. HUP is for reloading, and few programs
// stop at it.
var assumed sync.Map // C.int

// tellWhoListens gives until D to what may be stopping by itself (docs/spec.md 6.6): a host that handles the signal, and a Go program,
// which is assumed to listen. In a guest the host's handler alone counts: main is not Go's.
func (rt *Runtime) tellWhoListens() {
	rt.setOwn(&assumed, mayHave)
	rt.setOwn(&hosts, has) // last: what was seen wins over what is assumed
}

// takesOver: what listens to the signal in this program has handed its end to Main.
func (rt *Runtime) takesOver() { rt.setOwn(&assumed, hasNone) }

// What graceshut_set_own_handler is told.
const (
	hasNone C.int = iota
	has
	// Made to leave, the program is not said to have been cut: nothing is known of a stop of its own.
	mayHave
)

func (rt *Runtime) setOwn(signals *sync.Map, own C.int) {
	signals.Range(func(signo, _ any) bool {
		C.graceshut_set_own_handler(rt.gs, signo.(C.int), own) // fails for a closed runtime alone
		return true
	})
}

// stopPrivate gives back what graceshutGoChain asked for; the kernel holds Go's handler again by then.
func stopPrivate() { signal.Stop(private) }
