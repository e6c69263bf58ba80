package graceshut

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"runtime/cgo"
	"strings"
	"sync"
	"time"
)

// Phase names a step of the shutdown; phases run strictly one after another (docs/spec.md 4.1).
type Phase string

// The phases of the default plan, in order. A configuration may have others.
const (
	Announce Phase = "announce" // readiness turns red; tell others to go elsewhere
	Drain    Phase = "drain"    // stop taking work, finish what is there
	Flush    Phase = "flush"    // write buffers, commit offsets
	Close    Phase = "close"    // pools, files, children: one at a time, last registered first
	Final    Phase = "final"    // telemetry, logs, the last words
)

// A HookOption of Hook, HookStart, Serve and Listener.
type HookOption func(*hookOptions) error

type hookOptions struct {
	timeout C.int64_t
	after   []string
	flags   C.uint32_t
	name    string
	// Of Listener and Serve.
	refuse     func()
	endStreams time.Duration
	endless    map[string]bool
	streams    bool
}

// Timeout is the hook's own limit; it never gets more than its phase has left.
func Timeout(d time.Duration) HookOption {
	return func(o *hookOptions) (err error) {
		o.timeout, err = needed(d, "Timeout")
		return err
	}
}

// After names hooks of the same phase after which this one runs, whatever their outcome (docs/spec.md 4.4).
func After(names ...string) HookOption {
	return func(o *hookOptions) error {
		o.after = append(o.after, names...)
		return nil
	}
}

// Optional keeps the hook's outcome out of the result (docs/spec.md 6.2).
func Optional() HookOption {
	return func(o *hookOptions) error {
		o.flags |= C.GRACESHUT_HOOK_OPTIONAL
		return nil
	}
}

// Hook is a registered hook.
type Hook struct {
	rt *Runtime
	id C.uint32_t
}

// Removal is what Remove answers.
type Removal string

// What became of a hook that was to be taken out.
const (
	Removed Removal = "removed" // it will not run
	Running Removal = "running" // too late: it runs
	Done    Removal = "done"    // too late: it has ended, or was removed before
)

// Remove takes the hook out. Errors: ErrClosed.
func (h *Hook) Remove() (Removal, error) {
	var out C.int
	if err := call(func() C.int { return C.graceshut_remove(h.rt.gs, h.id, &out) }); err != nil {
		return "", err
	}
	return map[C.int]Removal{C.GRACESHUT_REMOVED: Removed, C.GRACESHUT_RUNNING: Running}[out].orDone(), nil
}

func (r Removal) orDone() Removal {
	if r == "" {
		return Done
	}
	return r
}

// Hook registers f in a phase. It runs in a goroutine of its own, so a hook that waits ties up no thread; a panic is its
// outcome, and so is runtime.Goexit. os.Exit inside cannot be contained and ends the process there: return ExitCode(n) instead.
// Also inside a hook and during the shutdown, then into the running or a later phase (docs/spec.md 8.1, 8.2).
//
// f returns nil: ok; context.Canceled, as ctx.Err() is, or what wraps it: cancelled; another error: failed, with its words.
//
// Errors: ErrUnknownPhase, ErrTooLate, ErrCycle, ErrBadTime, ErrBadValue, ErrNotUTF8, ErrClosed, ErrOS, ErrNull.
func (rt *Runtime) Hook(phase Phase, name string, f func(ctx Context) error, options ...HookOption) (*Hook, error) {
	if f == nil {
		return nil, fail(ErrNull, "the function of hook %q is nil", name)
	}
	return rt.HookStart(phase, name, func(c *Completion) { c.run(f) }, options...)
}

// HookStart registers a hook that begins its work and completes it later: it has ended when somebody calls Finish, before or
// after begin returned, in any goroutine (docs/spec.md 8.4). Otherwise as Hook.
func (rt *Runtime) HookStart(phase Phase, name string, begin func(c *Completion), options ...HookOption) (*Hook, error) {
	if begin == nil {
		return nil, fail(ErrNull, "the function of hook %q is nil", name)
	}
	var o hookOptions
	for _, option := range options {
		if option == nil {
			return nil, fail(ErrNull, "an option of hook %q is nil", name)
		}
		if err := option(&o); err != nil {
			return nil, err
		}
	}
	cPhase, err := cString(string(phase), "phase")
	if err != nil {
		return nil, err
	}
	defer free(cPhase)
	cName, err := cString(name, "the name of a hook")
	if err != nil {
		return nil, err
	}
	defer free(cName)
	for _, other := range o.after {
		if strings.IndexByte(other, 0) >= 0 {
			return nil, fail(ErrBadValue, "After(%q) has a NUL character", other)
		}
	}
	cAfter := C.CString(strings.Join(o.after, "\x00"))
	defer free(cAfter)
	h := &Hook{rt: rt}
	// Given to C, which gives it back once: when it can no longer be called, or here, when this fails.
	body := cgo.NewHandle(&hookBody{rt: rt, begin: begin})
	err = call(func() C.int {
		return C.gs_go_hook(rt.gs, cPhase, cName, C.uintptr_t(body), o.timeout, cAfter, C.size_t(len(o.after)), o.flags, &h.id)
	})
	if err != nil {
		return nil, err
	}
	return h, nil
}

// Declare registers a hook that needs no code, as [[hook]] in graceshut.toml: "phase", optionally "name", "timeout", "after",
// "optional", and one of "exec", "http", "delay", "inflight", "signal" (docs/spec.md 8.5). Times as in Config. Such hooks run
// even while Go is stuck.
//
//	gs.Declare(map[string]any{"phase": "announce", "http": map[string]any{"method": "PUT", "url": "http://registry/down"}})
func (rt *Runtime) Declare(hook map[string]any) (*Hook, error) {
	values, _ := plain(reflect.ValueOf(hook)).(map[string]any)
	text, err := encode(values)
	if err != nil {
		return nil, err
	}
	return rt.DeclareJSON(text)
}

// DeclareJSON is Declare with the hook as one JSON object.
func (rt *Runtime) DeclareJSON(text string) (*Hook, error) {
	c, err := cString(text, "the hook")
	if err != nil {
		return nil, err
	}
	defer free(c)
	h := &Hook{rt: rt}
	if err := call(func() C.int { return C.graceshut_hook_json(rt.gs, c, &h.id) }); err != nil {
		return nil, err
	}
	return h, nil
}

// OnReload registers a reload hook. With one, HUP reloads instead of stopping; one reload at a time (docs/spec.md 3.4, 3.6).
func (rt *Runtime) OnReload(name string, f func() error) error {
	if f == nil {
		return fail(ErrNull, "the function of reload hook %q is nil", name)
	}
	cName, err := cString(name, "the name of a reload hook")
	if err != nil {
		return err
	}
	defer free(cName)
	body := cgo.NewHandle(f)
	return call(func() C.int { return C.gs_go_on_reload(rt.gs, cName, C.uintptr_t(body)) })
}

// ---- what C calls ----

type hookBody struct {
	rt    *Runtime
	begin func(*Completion)
}

// graceshutGoStart runs on a thread of graceshut and leaves it at once: the hook has a goroutine.
//
//export graceshutGoStart
func graceshutGoStart(completion *C.graceshut_completion, data C.uintptr_t) {
	body := cgo.Handle(data).Value().(*hookBody)
	go body.start(completion)
}

func (b *hookBody) start(completion *C.graceshut_completion) {
	c := newCompletion(completion)
	if C.graceshut_ctx_begin(c.ctx.c) == 0 {
		// Its time passed before Go got here; the core has said so.
		c.finish(C.GRACESHUT_CANCELLED, "")
		return
	}
	defer c.contain()
	me := goroutine()
	inHooks.Store(me, true)
	defer inHooks.Delete(me)
	b.begin(c)
	c.returned = true
}

//export graceshutGoReload
func graceshutGoReload(data C.uintptr_t) (code C.int) {
	f := cgo.Handle(data).Value().(func() error)
	// A panic or Goexit must not leave through C.
	ended := make(chan C.int, 1)
	go func() {
		result := C.int(1)
		defer func() {
			if p := recover(); p != nil {
				result = C.GRACESHUT_PANICKED
			}
			ended <- result
		}()
		if f() == nil {
			result = 0
		}
	}()
	return <-ended
}

//export graceshutGoDestroy
func graceshutGoDestroy(data C.uintptr_t) { cgo.Handle(data).Delete() }

// ---- who runs a hook ----

// inHooks are the goroutines that run hooks now: waiting in one would wait for itself.
var inHooks sync.Map

// goroutine is this goroutine's number, by the head of its stack trace ("goroutine 17 [running]:"), the only place where Go
// tells it. Asked once a hook, and by calls that wait.
func goroutine() string {
	var head [32]byte
	words := bytes.Fields(head[:runtime.Stack(head[:], false)])
	if len(words) < 2 {
		return ""
	}
	return string(words[1])
}

func insideHook() bool {
	_, inside := inHooks.Load(goroutine())
	return inside
}

// ---- completion ----

// Completion is the right to say once how a hook ended.
type Completion struct {
	ctx      *hookContext
	returned bool
}

func newCompletion(completion *C.graceshut_completion) *Completion {
	return &Completion{ctx: newContext(completion)}
}

// Context is what the hook knows, until Finish.
func (c *Completion) Context() Context { return Context{c.ctx, c.ctx} }

// Finish ends the hook, as the error a Hook returns would. Only the first call counts.
func (c *Completion) Finish(err error) {
	if code, ok := exitCodeOf(err); ok {
		c.ctx.proposeExit(code)
		c.finish(C.GRACESHUT_OK, "")
		return
	}
	switch {
	case err == nil:
		c.finish(C.GRACESHUT_OK, "")
	// A deadline of the hook's own making is a failure.
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded) && c.ctx.Err() != nil:
		c.finish(C.GRACESHUT_CANCELLED, "")
	default:
		c.finish(1, err.Error())
	}
}

func (c *Completion) finish(code C.int, words string) { c.ctx.end(code, words) }

func (c *Completion) run(f func(Context) error) { c.Finish(f(c.Context())) }

// contain is the end of a hook's goroutine: a panic, or a Goexit, is the hook's outcome.
func (c *Completion) contain() {
	if p := recover(); p != nil {
		c.finish(C.GRACESHUT_PANICKED, panicWords(p))
		return
	}
	if !c.returned {
		c.finish(1, "runtime.Goexit ended the hook")
	}
}

func panicWords(p any) string { return fmt.Sprint(p) }

func decodeStrings(text string) []string {
	var names []string
	// The core writes it: an array of strings.
	_ = json.Unmarshal([]byte(text), &names)
	return names
}
