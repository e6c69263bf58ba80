package graceshut

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Runtime is the one install of this process. Every method may be called from any goroutine, several at once.
type Runtime struct {
	gs       *C.graceshut_t
	work     *Group
	manual   bool
	stopping *once
	draining *once
	done     *once
	told     toldList
	closed   atomic.Bool
	leaving  atomic.Bool
	own      atomic.Int32         // the status other than 0 that the program chose after its plan
	inMain   atomic.Pointer[once] // while the function of Main runs; closed when it has returned
}

var (
	installing sync.Mutex
	current    atomic.Pointer[Runtime]
)

// Install takes the signals (TERM, INT, HUP) and answers the runtime. Armed when it returns: a signal acts at once with the
// hooks there are (docs/spec.md 2.5). Before it, this package does nothing: no thread, no handler.
//
// A second Install answers the same runtime if its options agree, else ErrDisagree.
//
// The program's own signal.Notify and signal.NotifyContext go on working, before and after: Go's handler is called after
// graceshut's. signal.Stop is harmless. Do not call signal.Reset for a signal that graceshut takes: Go then ends the process
// the moment that signal arrives. signal.Ignore takes the signal away from graceshut until it looks, 5 s at most.
//
// Errors: ErrBadConfig, ErrBadTime, ErrBadValue, ErrBadPlan, ErrPlanDoesNotFit, ErrUnsupported, ErrDisagree, ErrABIMismatch,
// ErrOS, ErrTimeout. Nothing is installed then.
func Install(options ...Option) (*Runtime, error) {
	s := settings{json: map[string]any{}}
	for _, option := range options {
		if option == nil {
			return nil, fail(ErrNull, "an option of Install is nil")
		}
		if err := option(&s); err != nil {
			return nil, err
		}
	}
	installing.Lock()
	defer installing.Unlock()
	gs, err := s.install()
	if err != nil {
		return nil, err
	}
	rt := Current()
	if rt != nil {
		C.graceshut_free(gs)
	} else {
		rt = &Runtime{gs: gs, stopping: newOnce(), draining: newOnce(), done: newOnce()}
		rt.work, err = groupOf("")
		if err == nil {
			err = rt.begin()
		}
		if err != nil {
			C.graceshut_uninstall(gs)
			C.graceshut_free(gs)
			return nil, err
		}
		current.Store(rt)
	}
	for _, f := range s.events {
		if err := rt.OnEvent(f); err != nil {
			return nil, err
		}
	}
	return rt, nil
}

func (s *settings) install() (*C.graceshut_t, error) {
	if int(C.graceshut_abi_version()) != C.GRACESHUT_ABI_VERSION {
		return nil, fail(ErrABIMismatch, "the library's ABI is %d, this package needs %d: build against the library of this version",
			int(C.graceshut_abi_version()), int(C.GRACESHUT_ABI_VERSION))
	}
	if s.report != "" {
		text, err := cString(s.report, "Report")
		if err != nil {
			return nil, err
		}
		defer free(text)
		s.what.report = text
	}
	if len(s.json) > 0 {
		values, err := encode(s.json)
		if err != nil {
			return nil, err
		}
		text, err := cString(values, "Config")
		if err != nil {
			return nil, err
		}
		defer free(text)
		s.what.json = text
	}
	version := C.CString(runtime.Version())
	defer free(version)
	s.what.version = version
	if guest() {
		s.what.guest = 1
	}
	// Where C may write a pointer has to be C's: the struct holds pointers of its own already.
	var gs *C.graceshut_t
	what := s.what
	err := call(func() C.int { return C.gs_go_install(&what, &gs) })
	if err != nil && Current() == nil {
		stopPrivate()
	}
	return gs, err
}

// begin is what follows the first install.
func (rt *Runtime) begin() error {
	rt.manual = rt.exitMode() == "manual"
	rt.tellWhoListens()
	return rt.subscribe(rt.observe)
}

// Current answers what is installed, or nil.
func Current() *Runtime {
	rt := current.Load()
	if rt == nil || rt.closed.Load() {
		return nil
	}
	return rt
}

// Uninstall ends the install: previous handlers back, threads ended; every method answers ErrClosed from now on. For
// ExitManual and tests. Blocks for at most about 1 s.
//
// Errors: ErrClosed, ErrTooLate (a shutdown is under way), ErrWrongThread (in a hook).
func (rt *Runtime) Uninstall() error {
	if insideHook() {
		return fail(ErrWrongThread, "a hook cannot uninstall what runs it")
	}
	installing.Lock()
	defer installing.Unlock()
	if err := call(func() C.int { return C.graceshut_uninstall(rt.gs) }); err != nil {
		return err
	}
	rt.closed.Store(true)
	current.CompareAndSwap(rt, nil)
	stopPrivate()
	return nil
}

// once is a channel that closes once.
type once struct {
	sync.Once
	c chan struct{}
}

func newOnce() *once { return &once{c: make(chan struct{})} }

func (o *once) close() { o.Do(func() { close(o.c) }) }
