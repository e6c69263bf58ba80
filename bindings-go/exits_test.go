package graceshut

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	term = syscall.SIGTERM
	intr = syscall.SIGINT
	usr1 = syscall.SIGUSR1
)

// docs/spec.md 2.6, the row of Go, and 6.4.
func TestHowAProgramEnds(t *testing.T) {
	for _, c := range []struct {
		scenario string
		code     int
		reason   string // "": nothing runs, no report
		outcome  string
		stderr   string
	}{
		{"main_nil", 0, "host_end", "clean", ""},
		{"main_code", 3, "host_end", "clean", ""},
		{"main_error", 1, "uncaught", "clean", "disk on fire"},
		{"main_panic", 2, "uncaught", "clean", "panic: boom"},
		{"main_degraded", 1, "host_end", "degraded", ""},
		{"main_degraded4", 4, "host_end", "degraded", ""},
		{"defer_panic", 2, "uncaught", "clean", "panic: disk on fire"},
		{"stops", 0, "stop", "clean", ""},
		{"just_returns", 0, "", "", ""},
		{"os_exit", 5, "", "", ""},
		{"goroutine_panic", 2, "", "", "panic: elsewhere"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			t.Parallel()
			if raceDetector && c.scenario == "just_returns" {
				// With the race detector leaving with 0 passes through libc's exit, which is a trigger.
				c.reason, c.outcome = "host_end", "clean"
			}
			e := start(t, c.scenario).end().code(c.code)
			if !strings.Contains(e.err.String(), c.stderr) {
				e.fail("stderr has no %q", c.stderr)
			}
			if c.reason == "" {
				e.unreported().silent("hook flush/b")
				return
			}
			e.said("hook flush/b").reason(c.reason).outcome(c.outcome)
			if e.rep["exit_code"] != nil && e.rep["exit_code"] != float64(c.code) {
				e.fail("the report says another status")
			}
		})
	}
}

func TestASignalEndsItWithItsStatus(t *testing.T) {
	for _, scenario := range []string{"waits", "defer_wait", "idle", "no wait"} {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			start(t, scenario).signal(term).end().code(0).said("hook flush/b").outcome("clean").within(3 * time.Second)
			start(t, scenario).signal(intr).end().diedBy(intr).said("hook flush/b").outcome("clean")
			start(t, scenario).signal(syscall.SIGHUP).end().code(0).said("hook flush/b")
		})
	}
}

// Serve answers before the later phases: what main does between there and Wait is not cut off (docs/spec.md 6.5, 50 ms).
func TestMainIsGivenTimeToGetToWait(t *testing.T) {
	t.Parallel()
	// The race detector sleeps for a second at exit: this would hide that main was given no time.
	c := start(t, "no wait", "GORACE=atexit_sleep_ms=0").signal(term)
	c.end().code(0)
	gone := time.Now()
	report, err := os.Stat(c.report)
	must(t, err)
	if lived := gone.Sub(report.ModTime()); lived < 45*time.Millisecond {
		t.Errorf("gone %v after its report", lived)
	}
}

func TestDegradedIsOne(t *testing.T) {
	t.Parallel()
	e := start(t, "degraded").signal(term).end().code(1).outcome("degraded").was("bad", "failed")
	if e.hook("bad")["message"] != "disk on fire" {
		e.fail("the words are lost")
	}
}

func TestReraiseDiesByTheSignal(t *testing.T) {
	t.Parallel()
	start(t, "reraise").signal(term).end().diedBy(term).said("hook flush/b")
}

func TestWaitTimeoutLeavesTheLeavingToItsCaller(t *testing.T) {
	t.Parallel()
	start(t, "wait_timeout").signal(term).end().code(40).said("timeout true", "bad time true", "hook flush/b", "code 0")
}

func TestManualNeverLeaves(t *testing.T) {
	t.Parallel()
	start(t, "manual").signal(term).end().code(9).said("hook flush/b", "code 0 stopped true", "closed true", "again armed")
}

func TestASecondSignalCutsThePlan(t *testing.T) {
	t.Parallel()
	c := start(t, "slow").signal(term).until("slow")
	time.Sleep(600 * time.Millisecond) // out of the 500 ms in which it is a duplicate (7.1)
	c.signal(term).until("reserved")
	time.Sleep(600 * time.Millisecond)
	c.signal(term).end().code(143).outcome("forced").within(2 * time.Second)
}

func TestInteractiveAndOrchestrated(t *testing.T) {
	t.Parallel()
	c := start(t, "interactive").signal(term).until("slow")
	time.Sleep(600 * time.Millisecond)
	c.signal(intr).end().code(130).outcome("forced").within(2 * time.Second)
	c = start(t, "orchestrated").signal(term).until("slow")
	time.Sleep(600 * time.Millisecond)
	c.signal(term).end().code(0).outcome("clean").said("hook flush/b").was("slow", "ok")
}

func TestAHookThatNeverEndsIsLeftByTheDeadline(t *testing.T) {
	t.Parallel()
	start(t, "deadline").signal(term).until("stuck").end().code(1).outcome("degraded").was("stuck", "abandoned").said("hook flush/b").
		within(3500 * time.Millisecond)
}

func TestTheWatchdogEndsWhatGoCannot(t *testing.T) {
	t.Parallel()
	c := start(t, "watchdog")
	time.Sleep(300 * time.Millisecond) // until Go stands still
	e := c.signal(term).end().code(0).within(2 * time.Second)
	if e.took < 700*time.Millisecond {
		e.fail("Go was not stuck: gone after %v", e.took)
	}
}
