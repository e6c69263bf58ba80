package graceshut

import (
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"
)

func TestHooksOutcomes(t *testing.T) {
	t.Parallel()
	e := start(t, "hooks").signal(term).end().code(1).outcome("degraded")
	e.said("hook announce/a", "later close later terminated", `abandoned [never]`, "wait true", "uninstall true")
	e.was("fails", "failed").was("optional", "failed").was("panics", "failed").was("goexit", "failed")
	e.was("cancelled unasked", "cancelled").was("later", "ok").was("never", "abandoned").was("last", "ok")
	for name, want := range map[string]string{
		"fails": "disk on fire", "panics": "assignment to entry in nil map", "goexit": "runtime.Goexit ended the hook",
	} {
		if h := e.hook(name); h["message"] != want || (h["panic"] == true) != (name == "panics") {
			e.fail("hook %s: %v", name, h)
		}
	}
}

func TestOrderAndTheChannels(t *testing.T) {
	t.Parallel()
	e := start(t, "order").signal(term).end().code(0)
	e.said("hook announce/a", "hook drain/d", "hook flush/first", "hook flush/second", "hook flush/third", "hook close/c2", "hook close/c1", "hook final/f")
	e.said("stopping").said("draining")
}

func TestTheContextIsCancelledAtTheSoftDeadline(t *testing.T) {
	t.Parallel()
	start(t, "cancel").signal(term).end().code(1).was("gives up", "cancelled").said("deadline true true", "cause true true")
	e := start(t, "late").signal(term).end().code(1).was("late", "ok").was("stuck", "abandoned")
	if e.hook("late")["late"] != true {
		e.fail("not late")
	}
}

func TestExitInAHook(t *testing.T) {
	t.Parallel()
	start(t, "exit_in_hook").signal(term).end().code(7).unreported().silent("hook flush/b") // not contained, as documented
	start(t, "code_in_hook").signal(term).end().code(3).said("hook flush/b").was("three", "failed").was("zero", "ok")
}

func TestRegisteringUnderWay(t *testing.T) {
	t.Parallel()
	start(t, "under_way").signal(term).end().code(0).said("past true", "stopping drain true", "hook close/then").said("hook drain/now")
}

func TestAHeldInstallWaitsForReady(t *testing.T) {
	t.Parallel()
	start(t, "hold").end().code(0).said("ready", "hook flush/registered after the signal")
}

func TestRemove(t *testing.T) {
	t.Parallel()
	c := start(t, "remove")
	e := c.signal(term).end().code(0).said("removed <nil>", "done <nil>", "hook flush/b", "running <nil>")
	e.silent("hook flush/gone")
}

func TestExtend(t *testing.T) {
	t.Parallel()
	start(t, "extend").signal(term).end().code(0).said("granted true true true").was("extends", "ok")
}

func TestReload(t *testing.T) {
	t.Parallel()
	c := start(t, "reload").signal(syscall.SIGHUP).until("reloaded").until("last")
	c.signal(syscall.SIGHUP).until("reloaded").until("last")
	c.signal(term).end().code(0).said("hook flush/b")
}

func TestEvents(t *testing.T) {
	t.Parallel()
	e := start(t, "events").signal(term).end().code(0)
	e.said("event log flush b  0/0 halfway", "event progress flush b  1/2", "event hook_end flush b ok 0/0", "event finished clean")
}

func TestKindsWithoutCode(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked <- r.Method + " " + r.URL.Path }))
	defer server.Close()
	sleeper := exec.Command("sleep", "60")
	must(t, sleeper.Start())
	defer sleeper.Process.Kill()
	c := start(t, "kinds", "HTTP_URL="+server.URL+"/down", "SIGNAL_PID="+strconv.Itoa(sleeper.Process.Pid))
	e := c.signal(term).end().code(0).was("sync", "ok").was("pause", "ok").was("registry", "ok").was("child", "ok")
	if got := <-asked; got != "PUT /down" {
		e.fail("asked for %s", got)
	}
	_ = sleeper.Wait()
	if s := sleeper.ProcessState.Sys().(syscall.WaitStatus); s.Signal() != syscall.SIGUSR1 {
		e.fail("the child was not told")
	}
	if used, _ := e.hook("pause")["used_us"].(float64); used < 100_000 || used > 1_000_000 {
		e.fail("a time.Duration became %v", e.hook("pause"))
	}
}

// Hooks that wait tie up no threads.
func TestHooksAreGoroutines(t *testing.T) {
	t.Parallel()
	start(t, "many").signal(term).end().code(0).said("threads true")
}

// D33: with one busy P neither native hooks nor the deadline wait for Go.
func TestABusyProcessorDelaysNoNativeHook(t *testing.T) {
	t.Parallel()
	e := start(t, "busy").signal(term).end().code(1).was("native", "ok").was("native flush", "ok")
	if used, _ := e.hook("native")["used_us"].(float64); used > 100_000 {
		e.fail("the native hook took %v us", used)
	}
	e.within(3 * time.Second)
}

func TestTheContextOfAnEndedHook(t *testing.T) {
	t.Parallel()
	start(t, "ended_context").signal(term).end().code(0).said("ended 0s false false 0s [] b", "err context canceled")
}
