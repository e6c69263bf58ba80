package graceshut

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"encoding/json"
	"runtime/cgo"
	"sync"
	"time"
)

// State is where the process is in its life (docs/spec.md 2.1).
type State string

// The states.
const (
	Idle     State = "idle"     // uninstalled
	Armed    State = "armed"    // waiting for a trigger
	Stopping State = "stopping" // phases are running
	Stopped  State = "stopped"  // every phase is over
)

// State answers where the process is in its life.
func (rt *Runtime) State() State {
	switch C.graceshut_state(rt.gs) {
	case C.GRACESHUT_ARMED:
		return Armed
	case C.GRACESHUT_STOPPING:
		return Stopping
	case C.GRACESHUT_STOPPED:
		return Stopped
	}
	return Idle
}

// Phase is the phase that runs, "" when none does.
func (rt *Runtime) Phase() Phase { return Phase(given(C.graceshut_phase(rt.gs))) }

// Report is the report as one JSON object, nil before every phase is over (docs/report.schema.json).
func (rt *Runtime) Report() json.RawMessage { return raw(given(C.graceshut_report_json(rt.gs))) }

// Plan is the schedule as a table for people, best and worst case, before anything happens.
func (rt *Runtime) Plan() string { return given(C.graceshut_plan_text(rt.gs)) }

// Config is the effective configuration as one JSON object, each value with its origin (docs/spec.md 12.2).
func (rt *Runtime) Config() json.RawMessage { return raw(given(C.graceshut_config_json(rt.gs))) }

// Status is the state in one line for people.
func (rt *Runtime) Status() string { return given(C.graceshut_status(rt.gs)) }

func raw(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	return json.RawMessage(text)
}

func (rt *Runtime) exitMode() string {
	var config struct{ Exit struct{ Value string } }
	_ = json.Unmarshal(rt.Config(), &config)
	return config.Exit.Value
}

// Stop starts the shutdown, or shortens the one under way; reason goes to report and hooks. grace: from now, 200 ms and more;
// 0: the configured grace_normal. Never blocks, also inside a hook: Wait waits (docs/spec.md 2.2, 2.7, 8.6).
//
// Errors: ErrBadTime, ErrClosed, ErrBadValue.
func (rt *Runtime) Stop(reason string, grace time.Duration) error {
	text, err := cString(reason, "the reason")
	if err != nil {
		return err
	}
	defer free(text)
	return call(func() C.int { return C.graceshut_stop(rt.gs, text, micros(grace)) })
}

// Ready ends an install that was held (Hold): what came meanwhile takes effect.
func (rt *Runtime) Ready() error { return call(func() C.int { return C.graceshut_ready(rt.gs) }) }

// SetServing says whether this process accepts connections: it decides about the announce delay (docs/spec.md 4.2).
func (rt *Runtime) SetServing(serving bool) error {
	on := C.int(0)
	if serving {
		on = 1
	}
	return call(func() C.int { return C.graceshut_set_serving(rt.gs, on) })
}

// Stopping is closed when a shutdown begins: readiness is red, work is still taken. IsStopping is the same without waiting.
func (rt *Runtime) Stopping() <-chan struct{} { return rt.stopping.c }

// Draining is closed when drain begins: new work is refused. IsDraining is the same without waiting.
func (rt *Runtime) Draining() <-chan struct{} { return rt.draining.c }

// Done is closed when every phase is over, shortly before the process leaves.
func (rt *Runtime) Done() <-chan struct{} { return rt.done.c }

// Event is one thing that happened (docs/spec.md 11.2).
type Event struct {
	// Kind: trigger, phase_start, phase_end, hook_start, hook_cancel, hook_end, deadline, progress, log, reload, handler,
	// status, finished.
	Kind    string
	At      time.Duration // since the trigger
	Phase   Phase         // "" where it does not apply, as the rest
	Hook    string
	Outcome string
	Message string
	Value   int64 // by the kind: a budget or deadline in microseconds, progress, the exit status
	Total   int64
}

// OnEvent calls f for every event from now on, one at a time and in order, on a goroutine that belongs to graceshut: f may
// block, which delays later events (and the channels Stopping and Draining) and nothing else. When the plan is over the last
// events have 250 ms to get here before the process leaves. With log/slog:
//
//	gs.OnEvent(func(e graceshut.Event) { slog.Info("shutdown", "event", e.Kind, "phase", e.Phase, "hook", e.Hook) })
//
// Errors: ErrNull, ErrClosed, ErrOS.
func (rt *Runtime) OnEvent(f func(Event)) error {
	if f == nil {
		return fail(ErrNull, "OnEvent needs a function")
	}
	told := newOnce()
	err := rt.subscribe(func(text []byte) {
		var e struct {
			Event, Phase, Hook, Outcome, Message string
			At                                   int64 `json:"at_us"`
			Value, Total                         int64
		}
		if json.Unmarshal(text, &e) != nil {
			return
		}
		if e.Event == "finished" {
			defer told.close() // also after a panic
		}
		at := time.Duration(e.At) * time.Microsecond
		f(Event{e.Event, at, Phase(e.Phase), e.Hook, e.Outcome, e.Message, e.Value, e.Total})
	})
	if err == nil {
		rt.told.expect(told, rt.Done())
	}
	return err
}

// What event callbacks have to hear of the end before the process leaves.
const tellLimit = 250 * time.Millisecond

// toldList is who listens to events and has not heard of the end.
type toldList struct {
	sync.Mutex
	all []*once
}

// expect adds a listener. One that comes after the end never hears of it, and nobody waits for it.
func (l *toldList) expect(told *once, over <-chan struct{}) {
	select {
	case <-over:
	default:
		l.Lock()
		defer l.Unlock()
		l.all = append(l.all, told)
	}
}

// letEventsArrive waits until all of them have heard of the end, for a moment.
func (l *toldList) letEventsArrive() {
	l.Lock()
	all := l.all
	l.Unlock()
	limit := time.After(tellLimit)
	for _, told := range all {
		select {
		case <-told.c:
		case <-limit:
			return
		}
	}
}

func (rt *Runtime) subscribe(f func([]byte)) error {
	body := cgo.NewHandle(f)
	return call(func() C.int { return C.gs_go_on_event(rt.gs, C.uintptr_t(body)) })
}

//export graceshutGoEvent
func graceshutGoEvent(text *C.char, data C.uintptr_t) {
	f := cgo.Handle(data).Value().(func([]byte))
	words := []byte(C.GoString(text))
	// A panic or Goexit of the callback must not leave through C; it is told on stderr, as nobody else is there to be told.
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer tellPanic("an event callback")
		f(words)
	}()
	<-ended
}

// observe closes the channels. Whether work is refused the shared page says, whatever the plan's phases are called.
func (rt *Runtime) observe(text []byte) {
	var e struct{ Event string }
	finished := json.Unmarshal(text, &e) == nil && e.Event == "finished"
	if finished || rt.IsStopping() {
		rt.stopping.close()
	}
	if finished || rt.IsDraining() {
		rt.draining.close()
	}
	if finished {
		rt.done.close()
	}
}

// warn adds to the report's warnings.
func (rt *Runtime) warn(words string) {
	c := cWords(words)
	defer free(c)
	C.graceshut_warn(rt.gs, c) // fails for a closed runtime alone
}
