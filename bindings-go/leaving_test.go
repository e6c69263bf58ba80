package graceshut

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"
)

// Who leaves first (docs/spec.md 6.6). Hooks are over in milliseconds; the program's own stop takes longer than the race detector
// takes to leave.
const ownStop = 2500 * time.Millisecond

func init() {
	scenarios["leaves by itself"] = func() { stopsByItself(Leave(LeaveByItself)); os.Exit(7) }
	scenarios["listens"] = func() { stopsByItself(); os.Exit(7) }
	scenarios["listens, at once"] = func() { stopsByItself(Leave(LeaveAtOnce)); os.Exit(7) }
	scenarios["listens, log.Fatal"] = func() { stopsByItself(); log.Fatal("server closed") }
	scenarios["listens to USR1"] = func() {
		stopsByItself(Config(map[string]any{"signals": map[string]any{"USR1": "stop"}}))
		os.Exit(7)
	}
	scenarios["waits late"] = func() { stopsByItself().Wait() }
	scenarios["waits late, degraded"] = func() {
		gs := withHook()
		hook(gs, Close, "bad", bad)
		listenAndStop()
		gs.Wait()
	}
	scenarios["never leaves"] = func() { withHook(Grace(3 * time.Second)); idleForever() }
	scenarios["never leaves, by itself"] = func() { withHook(Grace(3*time.Second), Leave(LeaveByItself)); idleForever() }
	scenarios["main blocks"] = func() { withHook().Main(func() error { idleForever(); return nil }) }
	scenarios["main stops by itself"] = func() {
		gs := withHook(Leave(LeaveByItself))
		hook(gs, Close, "bad", bad)
		gs.Main(func() error { listenAndStop(); return nil })
	}
	scenarios["main late"] = func() { stopsByItself().Main(func() error { say("main ran"); return nil }) }
}

func idleForever() {
	ready()
	select {}
}

// stopsByItself stops as programs do that know nothing of graceshut: after its plan is over.
func stopsByItself(options ...Option) *Runtime {
	gs := withHook(options...)
	listenAndStop()
	return gs
}

func listenAndStop() {
	ctx, stop := signal.NotifyContext(context.Background(), term, intr, usr1)
	defer stop()
	ready()
	<-ctx.Done()
	time.Sleep(ownStop)
	say("own stop is over")
}

func (e *ended) leave(how string) *ended {
	e.t.Helper()
	leave, _ := e.rep["leave"].(map[string]any)
	if got := fmt.Sprint(leave["how"]); got != how {
		e.fail("left %s, not %s", got, how)
	}
	return e
}

func TestAProgramThatListensItselfLeavesByItself(t *testing.T) {
	for scenario, status := range map[string]int{"leaves by itself": 7, "listens": 7, "listens, log.Fatal": 1} {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			start(t, scenario).signal(term).end().code(status).said("hook flush/b", "own stop is over").outcome("clean")
			start(t, scenario).signal(intr).end().code(status).said("own stop is over")
		})
	}
	t.Run("a signal mapped to stop", func(t *testing.T) {
		t.Parallel()
		start(t, "listens to USR1").signal(usr1).end().code(7).said("hook flush/b", "own stop is over")
	})
}

func TestToldToLeaveAtOnceItDoes(t *testing.T) {
	t.Parallel()
	start(t, "listens, at once").signal(term).end().code(0).silent("own stop is over").leave("at_once")
	start(t, "listens", "GRACESHUT_LEAVE=at_once").signal(term).end().code(0).silent("own stop is over")
}

// A Wait that begins after the plan is over returns at once, with the decided status.
func TestAWaitAfterThePlanLeavesAtOnce(t *testing.T) {
	t.Parallel()
	start(t, "waits late").signal(term).end().code(0).said("own stop is over").leave("by_itself").within(ownStop + 2*time.Second)
	start(t, "waits late").signal(intr).end().diedBy(intr).said("own stop is over").within(ownStop + 2*time.Second)
	start(t, "waits late, degraded").signal(term).end().code(1).outcome("degraded").said("own stop is over").within(ownStop + 2*time.Second)
}

func TestAProgramThatDoesNotLeaveIsMadeToAtTheDeadline(t *testing.T) {
	t.Parallel()
	e := start(t, "never leaves").signal(term).end().code(0).outcome("clean").leave("made_to").within(4 * time.Second)
	if e.took < 2*time.Second {
		e.fail("gone after %v", e.took)
	}
}

// Nothing is known of a stop of its own in the test above; here the program has said that it leaves.
func TestOneThatSaysItLeavesAndDoesNotIsDegraded(t *testing.T) {
	t.Parallel()
	for _, signo := range []syscall.Signal{term, intr} {
		start(t, "never leaves, by itself").signal(signo).end().code(1).outcome("degraded").leave("made_to").within(4 * time.Second)
	}
}

// Main has been given the end of the process: what runs in it is not waited for, unless that is asked for.
func TestMainLeaves(t *testing.T) {
	t.Parallel()
	start(t, "main blocks").signal(term).end().code(0).outcome("clean").leave("at_once").within(3 * time.Second)
	start(t, "main stops by itself").signal(term).end().code(1).said("own stop is over").outcome("degraded").within(ownStop + 2*time.Second)
	// The plan is over, so f must not begin work that no phase would end.
	start(t, "main late").signal(term).end().code(0).said("own stop is over").silent("main ran").within(ownStop + 2*time.Second)
}
