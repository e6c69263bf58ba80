package graceshut

// #include "bridge.h"
import "C"

import (
	"encoding/json"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Where a program's own stop stands while it waits for its requests.
var ownStops = map[string]bool{
	"net/http.(*Server).Shutdown":                               true,
	"google.golang.org/grpc.(*Server).GracefulStop":             true,
	"github.com/valyala/fasthttp.(*Server).Shutdown":            true,
	"github.com/valyala/fasthttp.(*Server).ShutdownWithContext": true,
}

// letMainFinish blocks, where a signal has come and the f of Main is stopping by itself, until f has returned or D has come, and answers
// the status that counts then (docs/spec.md 6.6). Go does not tell who listens for a signal, but a server
// that is being shut down is seen.
func (rt *Runtime) letMainFinish(code int) int {
	main, left := rt.inMain.Load(), rt.timeToLeave()
	if main == nil || left <= 0 || !stopsAServer() {
		return code
	}
	select {
	case <-main.c:
		select {} // Main leaves
	case <-time.After(left):
	}
	C.graceshut_made_to_leave(rt.gs)
	if decided, err := rt.wait(0); err == nil {
		return decided // 0 has become 1: f's stop was cut
	}
	return code
}

// timeToLeave is what is left until D after a signal; 0 where the program is not waited for.
func (rt *Runtime) timeToLeave() time.Duration {
	var config struct{ Leave struct{ Value string } }
	var report struct {
		Outcome     string
		Reason      struct{ Kind string }
		TriggeredAt int64 `json:"triggered_at_us"`
		Budget      int64 `json:"budget_us"`
		Used        int64 `json:"used_us"`
	}
	if json.Unmarshal(rt.Config(), &config) != nil || json.Unmarshal(rt.Report(), &report) != nil {
		return 0
	}
	if config.Leave.Value != "auto" || report.Reason.Kind != "signal" || report.Outcome == "forced" {
		return 0
	}
	// The clock on the wall may have been set meanwhile.
	left := time.Duration(report.Budget-report.Used) * time.Microsecond
	return min(left, time.Until(time.UnixMicro(report.TriggeredAt+report.Budget)))
}

// stopsAServer looks through every goroutine of the program's own.
func stopsAServer() bool {
	records := make([]runtime.StackRecord, runtime.NumGoroutine()+64)
	n, ok := runtime.GoroutineProfile(records)
	if !ok {
		return false // so many were begun meanwhile that this program is not stopping
	}
	for _, r := range records[:n] {
		if isOwnStop(r.Stack()) {
			return true
		}
	}
	return false
}

// Ours: a hook that was left behind, which nothing waits for.
var hooksFrames = []string{".(*hookBody).", ".(*server).drain", ".(*Runtime).GRPC"}

func isOfAHook(function string) bool {
	rest, ours := strings.CutPrefix(function, "github.com/graceshut/graceshut/bindings-go")
	return ours && slices.ContainsFunc(hooksFrames, func(f string) bool { return strings.HasPrefix(rest, f) })
}

func isOwnStop(stack []uintptr) bool {
	stops := false
	frames := runtime.CallersFrames(stack)
	for {
		f, more := frames.Next()
		stops = stops || ownStops[f.Function]
		if isOfAHook(f.Function) {
			return false
		}
		if !more {
			return stops
		}
	}
}
