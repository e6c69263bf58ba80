package graceshut

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"context"
	"errors"
	"runtime/cgo"
	"sync"
	"syscall"
	"time"
)

// Context is what a running hook knows: a context.Context that is cancelled at the hook's soft deadline, with the hard one as
// its Deadline (docs/spec.md 5.5). Between the two a hook finishes what it cannot leave. Any goroutine; once the hook has
// ended its methods answer nothing any more, and it is cancelled. The zero Context, or one around another context
// (graceshut.Context{Context: ctx}), serves to test hooks.
type Context struct {
	context.Context
	hook *hookContext
}

// ErrSoftDeadline is the cause (context.Cause) of a hook's context that was cancelled by the plan.
var ErrSoftDeadline = errors.New("graceshut: the hook's soft deadline has come")

type hookContext struct {
	context.Context // cancelled at the soft deadline
	cancel          context.CancelCauseFunc
	name            string
	phase           Phase
	reason          string
	signal          syscall.Signal

	mu         sync.RWMutex // held to use what follows; both are nil once the hook has ended
	c          *C.graceshut_ctx
	completion *C.graceshut_completion
}

func newContext(completion *C.graceshut_completion) *hookContext {
	c := C.graceshut_completion_context(completion)
	inner, cancel := context.WithCancelCause(context.Background())
	h := &hookContext{
		Context: inner, cancel: cancel, c: c, completion: completion,
		name: C.GoString(C.graceshut_ctx_name(c)), phase: Phase(C.GoString(C.graceshut_ctx_phase(c))),
		reason: given(C.graceshut_ctx_reason(c)), signal: syscall.Signal(C.graceshut_ctx_signal(c)),
	}
	C.gs_go_on_cancel(c, C.uintptr_t(cgo.NewHandle(cancel)))
	return h
}

//export graceshutGoCancel
func graceshutGoCancel(data C.uintptr_t) {
	cgo.Handle(data).Value().(context.CancelCauseFunc)(ErrSoftDeadline)
}

// end finishes the completion, once, and cancels the context.
func (h *hookContext) end(code C.int, words string) {
	h.mu.Lock()
	completion := h.completion
	h.c, h.completion = nil, nil
	h.mu.Unlock()
	if completion == nil {
		return
	}
	var text *C.char
	if words != "" {
		text = cWords(valid(words))
		defer free(text)
	}
	// Before core hears of it, and starts the next phase: what sees this context there finds it ended.
	h.cancel(context.Canceled)
	C.graceshut_completion_finish(completion, code, text)
}

func (h *hookContext) proposeExit(status int) {
	h.use(func(c *C.graceshut_ctx) { C.graceshut_ctx_propose_exit(c, C.int(status)) })
}

// use calls f while the hook has not ended.
func (h *hookContext) use(f func(c *C.graceshut_ctx)) {
	if h == nil {
		return
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.c != nil {
		f(h.c)
	}
}

func (h *hookContext) remaining() (left time.Duration, limited bool) {
	h.use(func(c *C.graceshut_ctx) {
		us := C.graceshut_ctx_remaining_us(c)
		left, limited = time.Duration(us)*time.Microsecond, us >= 0
	})
	return max(left, 0), limited
}

// Deadline is the hook's hard deadline now: Extend and further signals move it. (context.Context)
func (h *hookContext) Deadline() (time.Time, bool) {
	left, limited := h.remaining()
	if !limited {
		return time.Time{}, false
	}
	return time.Now().Add(left), true
}

// Remaining is the time until the hard deadline, 0 when it has passed; false when there is none.
func (c Context) Remaining() (time.Duration, bool) {
	if c.hook == nil && c.Context != nil {
		at, limited := c.Context.Deadline()
		return max(time.Until(at), 0), limited
	}
	return c.hook.remaining()
}

// Extend asks for more time before the soft deadline has come, and answers what is granted, 0 for none: never what later
// phases are promised (docs/spec.md 5.8).
func (c Context) Extend(more time.Duration) (granted time.Duration) {
	if more <= 0 {
		return 0
	}
	c.hook.use(func(h *C.graceshut_ctx) {
		granted = time.Duration(C.graceshut_ctx_extend(h, micros(more))) * time.Microsecond
	})
	return granted
}

// Name is the hook's name.
func (c Context) Name() string {
	if c.hook == nil {
		return ""
	}
	return c.hook.name
}

// Phase is the phase the hook runs in.
func (c Context) Phase() Phase {
	if c.hook == nil {
		return ""
	}
	return c.hook.phase
}

// Reason is why the process stops, the first trigger: "signal", "stop: words of the caller", "host_end", "uncaught: words".
func (c Context) Reason() string {
	if c.hook == nil {
		return ""
	}
	return c.hook.reason
}

// Signal is the signal that started the shutdown, 0 when it was something else.
func (c Context) Signal() syscall.Signal {
	if c.hook == nil {
		return 0
	}
	return c.hook.signal
}

// Abandoned names hooks that were abandoned earlier and still run: what they use must not be pulled away (docs/spec.md 5.7).
func (c Context) Abandoned() (names []string) {
	c.hook.use(func(h *C.graceshut_ctx) { names = decodeStrings(given(C.graceshut_ctx_abandoned(h))) })
	return names
}

// Log says a line as a "log" event.
func (c Context) Log(message string) {
	text := cWords(valid(message))
	defer free(text)
	c.hook.use(func(h *C.graceshut_ctx) { C.graceshut_ctx_log(h, text) })
}

// Progress says how far the hook is, done of total (0: unknown), in a unit of its own.
func (c Context) Progress(done, total uint64) {
	c.hook.use(func(h *C.graceshut_ctx) { C.graceshut_ctx_progress(h, C.uint64_t(done), C.uint64_t(total)) })
}
