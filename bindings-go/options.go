package graceshut

// #include "bridge.h"
import "C"

import (
	"encoding/json"
	"fmt"
	"reflect"
	"time"
)

// An Option of Install. Environment (GRACESHUT_*) beats graceshut.toml beats options (docs/spec.md 12.1).
type Option func(*settings) error

type settings struct {
	what   C.struct_gs_go_install
	report string
	json   map[string]any
	events []func(Event)
}

// Grace is the wall time from a signal until something outside kills the process, 200 ms to 366 days. Not said: from the
// platform (Kubernetes 30 s, Docker 10 s), else 10 s.
func Grace(d time.Duration) Option {
	return func(s *settings) (err error) {
		s.what.grace_us, err = needed(d, "Grace")
		return err
	}
}

// Serving says that this process accepts connections: on Kubernetes it then serves on for 5 s after readiness turned red
// (docs/spec.md 4.2). Runtime.Serve says so by itself.
func Serving() Option { return flag(C.GRACESHUT_SERVING) }

// Hold defers action on a signal until Runtime.Ready, at most 1 s, for programs that register many hooks (docs/spec.md 2.5).
func Hold() Option { return flag(C.GRACESHUT_HOLD) }

// NoWatchdog does without the hard end of the process at the deadline (docs/spec.md 5.9).
func NoWatchdog() Option { return flag(C.GRACESHUT_NO_WATCHDOG) }

// NoInFlight does not wait for work in flight in drain (docs/spec.md 9.3).
func NoInFlight() Option { return flag(C.GRACESHUT_NO_INFLIGHT) }

func flag(bit C.uint32_t) Option {
	return func(s *settings) error {
		s.what.flags |= bit
		return nil
	}
}

// Report says where the report goes: "stderr" (one line), "stderr:json", "fd:N", "termination-log", "none", or a path (%p:
// the pid).
func Report(where string) Option {
	return func(s *settings) error {
		s.report = where
		return nil
	}
}

// ExitMode says how the process leaves.
type ExitMode int

// How the process leaves (docs/spec.md 6.4, 6.5).
const (
	ExitHost    ExitMode = C.GRACESHUT_EXIT_HOST    // os.Exit; after INT death by INT
	ExitReraise ExitMode = C.GRACESHUT_EXIT_RERAISE // a clean shutdown dies by the signal that started it
	ExitManual  ExitMode = C.GRACESHUT_EXIT_MANUAL  // never: Wait returns, and the program does what it likes
)

// Exit sets how the process leaves; ExitHost by default.
func Exit(mode ExitMode) Option {
	return func(s *settings) error {
		if mode < ExitHost || mode > ExitManual {
			return fail(ErrBadValue, "Exit(%d): give ExitHost, ExitReraise or ExitManual", int(mode))
		}
		s.what.exit = C.int(mode)
		return nil
	}
}

// RepeatMode says what a second signal does.
type RepeatMode int

// What a second signal does (docs/spec.md 7).
const (
	RepeatExpedite     RepeatMode = C.GRACESHUT_REPEAT_EXPEDITE     // cut the plan to its reserves; a third leaves at once
	RepeatInteractive  RepeatMode = C.GRACESHUT_REPEAT_INTERACTIVE  // leave at once
	RepeatOrchestrated RepeatMode = C.GRACESHUT_REPEAT_ORCHESTRATED // a repeated TERM is ignored
)

// Repeat sets what a second signal does; RepeatExpedite by default.
func Repeat(mode RepeatMode) Option {
	return func(s *settings) error {
		if mode < RepeatExpedite || mode > RepeatOrchestrated {
			return fail(ErrBadValue, "Repeat(%d): give RepeatExpedite, RepeatInteractive or RepeatOrchestrated", int(mode))
		}
		s.what.repeat = C.int(mode)
		return nil
	}
}

// LeaveMode says who leaves first when the plan is over after a signal.
type LeaveMode string

// Who leaves first (docs/spec.md 6.6).
const (
	LeaveAuto     LeaveMode = "auto"      // LeaveByItself where nothing waits in Wait and Main is not running, else LeaveAtOnce
	LeaveAtOnce   LeaveMode = "at_once"   // the process leaves when the last hook has ended
	LeaveByItself LeaveMode = "by_itself" // main may go on stopping by itself until the deadline; only then is it made to leave
)

// Leave says who leaves first; LeaveAuto by default. Go tells no package who listens for a signal (signal.Notify, signal.NotifyContext),
// so LeaveAuto assumes that the program does (but for HUP) and stops by itself: after a signal main has until the deadline to return, to
// call os.Exit, or to get to Wait, which leaves at once. Programs that end with Wait or Main leave when the last hook has ended.
//
// Give LeaveAtOnce to a program whose main blocks elsewhere (select {}, an accept loop) and listens for no signal: os.Exit is then called
// 50 ms after the last hook has ended. Give LeaveByItself to one whose Main function listens and may take longer than the hooks.
func Leave(mode LeaveMode) Option {
	return func(s *settings) error {
		switch mode {
		case LeaveAuto, LeaveAtOnce, LeaveByItself:
			s.json["leave"] = string(mode)
			return nil
		}
		return fail(ErrBadValue, "Leave(%q): give LeaveAuto, LeaveAtOnce or LeaveByItself", string(mode))
	}
}

// Config sets any option by its key in graceshut.toml. A time.Duration is a time, a bare number where a time is meant is
// microseconds, and so is the text "500ms" or "10s". Of two Configs with one key the later counts; the options above win.
//
//	graceshut.Config(map[string]any{"phases": map[string]any{"drain": map[string]any{"cap": 4 * time.Second}}})
func Config(values map[string]any) Option {
	return func(s *settings) error {
		for key, value := range values {
			s.json[key] = plain(reflect.ValueOf(value))
		}
		return nil
	}
}

// ConfigJSON is Config with its values as one JSON object.
func ConfigJSON(text string) Option {
	return func(s *settings) error {
		var values map[string]json.RawMessage
		if err := json.Unmarshal([]byte(text), &values); err != nil {
			return fail(ErrBadConfig, "ConfigJSON takes one JSON object: %v", err)
		}
		for key, value := range values {
			s.json[key] = value
		}
		return nil
	}
}

// Events calls f for every event from Install on: see Runtime.OnEvent.
func Events(f func(Event)) Option {
	return func(s *settings) error {
		if f == nil {
			return fail(ErrNull, "Events needs a function")
		}
		s.events = append(s.events, f)
		return nil
	}
}

var durationType = reflect.TypeOf(time.Duration(0))

// plain turns durations into microseconds: encoding/json would say nanoseconds.
func plain(v reflect.Value) any {
	if !v.IsValid() {
		return nil
	}
	if v.Type() == durationType {
		return int64(micros(time.Duration(v.Int())))
	}
	switch v.Kind() {
	case reflect.Interface, reflect.Pointer:
		return plain(v.Elem())
	case reflect.Map:
		out := make(map[string]any, v.Len())
		for _, key := range v.MapKeys() {
			out[fmt.Sprint(key.Interface())] = plain(v.MapIndex(key))
		}
		return out
	case reflect.Slice, reflect.Array:
		if _, raw := v.Interface().(json.RawMessage); raw {
			return v.Interface()
		}
		out := make([]any, v.Len())
		for i := range out {
			out[i] = plain(v.Index(i))
		}
		return out
	default:
		return v.Interface()
	}
}

func encode(values map[string]any) (string, error) {
	text, err := json.Marshal(values)
	if err != nil {
		return "", fail(ErrBadConfig, "a value of Config has no JSON: %v", err)
	}
	return string(text), nil
}
