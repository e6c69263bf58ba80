package graceshut

// #include "bridge.h"
import "C"

import (
	"errors"
	"fmt"
	"runtime"
)

// Kind says what went wrong; the same names in every language. It is an error itself, for errors.Is:
//
//	if errors.Is(err, graceshut.ErrTooLate) { ... }
type Kind string

// The kinds of errors (docs/spec.md 13).
const (
	ErrNull           Kind = "null"              // a function or value that is needed is nil
	ErrNotUTF8        Kind = "not_utf8"          // text that is not UTF-8
	ErrUnknownPhase   Kind = "unknown_phase"     // no phase of that name; the words name the nearest
	ErrBadTime        Kind = "bad_time"          // a time that is negative, zero where it may not be, or too large
	ErrBadValue       Kind = "bad_value"         // another argument out of its range
	ErrBadConfig      Kind = "bad_config"        // an unknown key or a bad value in file, environment or Config
	ErrBadPlan        Kind = "bad_plan"          // the phases contradict each other
	ErrPlanDoesNotFit Kind = "plan_does_not_fit" // the reserves do not fit into the grace; the words have the arithmetic
	ErrDisagree       Kind = "disagree"          // a second Install asked for other options; the words name the difference
	ErrClosed         Kind = "closed"            // the runtime was uninstalled
	ErrTooLate        Kind = "too_late"          // the phase, or the whole shutdown, is already over
	ErrCycle          Kind = "cycle"             // a hook's After closes a circle
	ErrWrongThread    Kind = "wrong_thread"      // not allowed inside a hook
	ErrNotInstalled   Kind = "not_installed"     // nothing is installed
	ErrABIMismatch    Kind = "abi_mismatch"      // header and library differ, or another copy of graceshut in this process
	ErrOS             Kind = "os"                // the operating system refused something
	ErrTimeout        Kind = "timeout"           // a wait's limit passed first
	ErrUnsupported    Kind = "unsupported"       // this build does not have that
	ErrInternal       Kind = "internal"          // a bug in graceshut, contained
)

// Error makes a Kind an error.
func (k Kind) Error() string { return "graceshut: " + string(k) }

// Error is what every function of this package that fails answers: a kind for programs, words for people that name the
// culprit and the next step.
type Error struct {
	Kind    Kind
	Message string
}

func (e *Error) Error() string { return fmt.Sprintf("graceshut: %s (%s)", e.Message, e.Kind) }

// Is makes errors.Is(err, graceshut.ErrTooLate) work.
func (e *Error) Is(target error) bool {
	kind, ok := target.(Kind)
	return ok && kind == e.Kind
}

func fail(kind Kind, format string, args ...any) error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// call makes one C call and reads its words on the same thread: they are kept per thread.
func call(f func() C.int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	code := f()
	if code == C.GRACESHUT_OK {
		return nil
	}
	return &Error{Kind: Kind(C.GoString(C.graceshut_error_name(code))), Message: C.GoString(C.graceshut_last_error())}
}

// ExitCode is an error that asks for an exit status: what Main's function and hooks return where other languages call exit.
// Returned by a hook it ends that hook (ok for 0, else failed) and proposes the status; the plan goes on (docs/spec.md 8.6).
type ExitCode int

func (c ExitCode) Error() string { return fmt.Sprintf("exit status %d", int(c)) }

func exitCodeOf(err error) (int, bool) {
	var code ExitCode
	ok := errors.As(err, &code)
	return int(code), ok
}
