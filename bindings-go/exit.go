package graceshut

// #include "bridge.h"
import "C"

import (
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// Wait blocks until a shutdown is over, then leaves the process with the decided status (docs/spec.md 6.4): the last line of
// main. With ExitManual it answers that status instead.
//
//	gs.Wait()
//
// Where the shutdown is over already it leaves at once. Deferred (defer gs.Wait()), it also makes a panic in that function a trigger: the hooks run, the panic is printed, and the
// status is 2, as Go's own. It begins no shutdown by itself: for a program that ends by returning see Main.
//
// Errors: ErrClosed, also when the runtime is uninstalled meanwhile; ErrWrongThread in a hook's goroutine, where it would
// wait for itself.
func (rt *Runtime) Wait() (int, error) {
	if p := recover(); p != nil {
		rt.died(p, debug.Stack())
	}
	code, err := rt.wait(C.GRACESHUT_FOREVER)
	if err == nil && !rt.manual {
		rt.leave(code)
	}
	return code, err
}

// WaitTimeout blocks until a shutdown is over or limit has passed (ErrTimeout), and answers the decided status. The caller is
// the one who leaves: os.Exit(code). After INT only Wait ends the process as a shell expects it (death by INT).
func (rt *Runtime) WaitTimeout(limit time.Duration) (int, error) {
	if limit < 0 {
		return 0, fail(ErrBadTime, "the limit of WaitTimeout is %v: give 0 or more", limit)
	}
	return rt.wait(micros(limit))
}

func (rt *Runtime) wait(limit C.int64_t) (int, error) {
	if insideHook() {
		return 0, fail(ErrWrongThread, "waiting inside a hook would wait for itself; use ctx.Remaining")
	}
	var code C.int
	err := call(func() C.int { return C.graceshut_wait(rt.gs, limit, &code) })
	if err == nil {
		rt.told.letEventsArrive()
	}
	return int(code), err
}

// Main runs f and leaves the process when it returns: the end of f is a trigger, all hooks run, and then the process leaves
// (docs/spec.md 2.6). A nil error is the status 0, an ExitCode that status, another error 1 after it was printed to stderr,
// a panic 2 after it was printed as Go does. With ExitManual Main returns when the shutdown is over.
//
// After a signal the process leaves when the last hook has ended, whatever f is doing, unless a server of the program's own is being shut
// down then (Shutdown of net/http or fasthttp, GracefulStop): f has until the deadline to return then, and a status other than 0 that it answers
// is kept. Another f that listens for the signal itself and may take longer than the hooks needs Leave(LeaveByItself), since Go does
// not tell who listens. Where the plan is over before Main is called, f is not.
//
//	func main() {
//		gs, err := graceshut.Install()
//		...
//		gs.Main(run)
//	}
func (rt *Runtime) Main(f func() error) {
	rt.ended(f)
	if code, err := rt.wait(C.GRACESHUT_FOREVER); err == nil && !rt.manual {
		rt.leave(code)
	}
}

func (rt *Runtime) ended(f func() error) {
	defer func() {
		if p := recover(); p != nil {
			rt.died(p, debug.Stack())
		}
	}()
	rt.takesOver()
	if rt.State() == Stopped {
		return // what f would begin has no plan that could end it
	}
	if f == nil {
		rt.hostEnd("Main was given no function", 1)
		return
	}
	returned := newOnce()
	rt.inMain.Store(returned)
	defer returned.close()
	err := f()
	if code, ok := exitCodeOf(err); ok || err == nil {
		rt.hostEnd("", code)
		return
	}
	fmt.Fprintln(os.Stderr, "error:", err)
	rt.hostEnd(err.Error(), 1)
}

// died tells of a panic that ends the program.
func (rt *Runtime) died(value any, stack []byte) {
	fmt.Fprintf(os.Stderr, "panic: %v\n\n%s", value, stack)
	rt.hostEnd(fmt.Sprintf("panic: %v", value), goPanic)
}

// What Go leaves with after a panic.
const goPanic = 2

func (rt *Runtime) hostEnd(uncaught string, code int) {
	var words *C.char
	if uncaught != "" {
		words = cWords(uncaught)
		defer free(words)
	}
	if code != 0 && rt.State() == Stopped {
		rt.own.Store(int32(code)) // kept (docs/spec.md 6.5)
	}
	// CLOSED is the only error, and then there is nothing to tell.
	C.graceshut_host_end(rt.gs, words, C.int(code))
}

// leave ends the process as decided. Only the first caller does.
func (rt *Runtime) leave(code int) {
	if rt.leaving.Swap(true) {
		select {}
	}
	own := int(rt.own.Load())
	if own != 0 {
		code = own
	}
	if guest() {
		C.gs_go_exit(C.int(code))
	}
	if own != 0 {
		os.Exit(own)
	}
	C.graceshut_last_act(rt.gs)
	os.Exit(code)
}

// guest is true in a library inside somebody else's process: the exit is that host's then, with its finalisers.
var guest = sync.OnceValue(func() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool {
		return s.Key == "-buildmode" && (s.Value == "c-shared" || s.Value == "c-archive")
	})
})

// graceshutGoExit is the core's order to leave, on one of its threads: nobody waits in Wait.
//
//export graceshutGoExit
func graceshutGoExit(code C.int) {
	if rt := current.Load(); rt != nil {
		go func() {
			rt.told.letEventsArrive()
			rt.leave(rt.letMainFinish(int(code)))
		}()
		return
	}
	// A signal that came while Install was at work, and the plan was over before it returned.
	os.Exit(int(code))
}

// tellPanic keeps a callback's panic from leaving through C, and prints it: nobody else is there to be told.
func tellPanic(what string) {
	if p := recover(); p != nil {
		fmt.Fprintf(os.Stderr, "graceshut: %s panicked: %v\n%s", what, p, debug.Stack())
	}
}
