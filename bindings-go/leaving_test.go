package graceshut

import (
	"context"
	"fmt"
	"log"
	"net/http"
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
	scenarios["main stops by itself with 7"] = func() {
		withHook(Leave(LeaveByItself)).Main(func() error { listenAndStop(); return ExitCode(7) })
	}
	scenarios["main shuts a server down"] = func() {
		gs := withHook()
		gs.Main(func() error { shutDownOwnServer(); return ExitCode(7) })
	}
	scenarios["main shuts a server down, at once"] = func() {
		gs := withHook(Leave(LeaveAtOnce))
		gs.Main(func() error { shutDownOwnServer(); return nil })
	}
	scenarios["main shuts a server down for ever"] = func() {
		gs := withHook(Grace(3 * time.Second))
		gs.Main(func() error { shutDownOwnServer(); select {} })
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

// shutDownOwnServer stops as net/http's manual has it, with a request in flight that takes ownStop.
func shutDownOwnServer() {
	ctx, stop := signal.NotifyContext(context.Background(), term, intr)
	defer stop()
	came := make(chan struct{})
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(came)
		time.Sleep(ownStop)
	})}
	ln := listenLoopback()
	go srv.Serve(ln)
	answered := make(chan string, 1)
	go func() {
		r, err := http.Get("http://" + ln.Addr().String())
		if err != nil {
			answered <- err.Error()
			return
		}
		answered <- r.Status
	}()
	<-came
	ready()
	<-ctx.Done()
	check(srv.Shutdown(context.Background()))
	say("answered %s", <-answered)
	time.Sleep(300 * time.Millisecond) // what follows a Shutdown: it is in no list
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
	// A status that the program chose is kept, after the plan as well as before its end.
	start(t, "main stops by itself with 7").signal(term).end().code(7).said("own stop is over").outcome("clean")
	start(t, "main stops by itself with 7").signal(intr).end().code(7).said("own stop is over")
	// The plan is over, so f must not begin work that no phase would end.
	start(t, "main late").signal(term).end().code(0).said("own stop is over").silent("main ran").within(ownStop + 2*time.Second)
}

// Go does not tell who listens for a signal, but a server that is being shut down is seen: f returns by itself then.
func TestMainIsLeftItsOwnShutdown(t *testing.T) {
	t.Parallel()
	start(t, "main shuts a server down").signal(term).end().code(7).said("answered 200 OK", "own stop is over").outcome("clean").within(ownStop + 3*time.Second)
	start(t, "main shuts a server down, at once").signal(term).end().code(0).silent("own stop is over").leave("at_once").within(ownStop)
	start(t, "main shuts a server down for ever").signal(term).end().code(1).outcome("degraded").leave("made_to").within(5 * time.Second)
}
