package graceshut

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// In one process: installs of ExitManual, one after another, so none of these runs in parallel with another.
func local(t *testing.T, options ...Option) *Runtime {
	t.Helper()
	gs, err := Install(append([]Option{Exit(ExitManual), Report("none")}, options...)...)
	must(t, err)
	t.Cleanup(func() { _ = gs.Uninstall() })
	return gs
}

func TestBadInput(t *testing.T) {
	for _, c := range []struct {
		option Option
		kind   Kind
		words  string
	}{
		{Grace(-time.Second), ErrBadTime, "-1s"},
		{Grace(0), ErrBadTime, "Grace is 0s"},
		{Grace(time.Millisecond), ErrBadTime, ""},
		{Grace(1 << 62), ErrBadTime, ""},
		{Exit(9), ErrBadValue, "Exit(9)"},
		{Repeat(0), ErrBadValue, "Repeat(0)"},
		{Report("a\x00b"), ErrBadValue, "NUL"},
		{Report("\xff"), ErrNotUTF8, ""},
		{Config(map[string]any{"graze": "1s"}), ErrBadConfig, "grace"},
		{Config(map[string]any{"grace": func() {}}), ErrBadConfig, "JSON"},
		{Config(map[string]any{"phases": map[string]any{"drain": map[string]any{"reserve": time.Hour}}}), "", ""},
		{ConfigJSON("[1]"), ErrBadConfig, "object"},
		{ConfigJSON(`{"grace": -1}`), "", ""},
		{Events(nil), ErrNull, "function"},
		{nil, ErrNull, "nil"},
	} {
		gs, err := Install(Exit(ExitManual), Report("none"), c.option)
		if gs != nil || err == nil {
			t.Fatalf("installed with %v", c)
		}
		if c.kind == "" {
			var e *Error
			if !errors.As(err, &e) {
				t.Error(err)
			}
			continue
		}
		// Report's own option wins over the one above where it is a Report.
		wants(t, err, c.kind, c.words)
	}
	if Current() != nil {
		t.Fatal("something is installed")
	}
	gs := local(t)
	for _, c := range []struct {
		err   error
		kind  Kind
		words string
	}{
		{second(gs.Hook("drian", "x", named)), ErrUnknownPhase, "drain"},
		{second(gs.Hook(Drain, "", named)), ErrBadValue, ""},
		{second(gs.Hook(Drain, "a\x00", named)), ErrBadValue, "NUL"},
		{second(gs.Hook(Drain, "\xff", named)), ErrNotUTF8, ""},
		{second(gs.Hook(Drain, "x", nil)), ErrNull, "nil"},
		{second(gs.HookStart(Drain, "x", nil)), ErrNull, "nil"},
		{second(gs.Hook(Drain, "x", named, nil)), ErrNull, "nil"},
		{second(gs.Hook(Drain, "x", named, Timeout(0))), ErrBadTime, "0s"},
		{second(gs.Hook(Drain, "x", named, Timeout(-1))), ErrBadTime, ""},
		{second(gs.Hook(Drain, "x", named, Timeout(1<<62))), ErrBadTime, ""},
		{second(gs.Hook(Drain, "self", named, After("self"))), ErrCycle, "self"},
		{second(gs.Hook(Drain, "x", named, After("a\x00b"))), ErrBadValue, "NUL"},
		{second(gs.Declare(map[string]any{"phase": "drain"})), ErrBadConfig, ""},
		{second(gs.Declare(nil)), ErrBadConfig, ""},
		{second(gs.DeclareJSON("{")), ErrBadConfig, ""},
		{gs.OnReload("x", nil), ErrNull, ""},
		{gs.OnReload("", func() error { return nil }), ErrBadValue, ""},
		{gs.OnEvent(nil), ErrNull, ""},
		{gs.Stop("x", time.Millisecond), ErrBadTime, "200ms"},
		{gs.Stop("x", -time.Second), ErrBadTime, ""},
		{gs.Stop("a\x00", 0), ErrBadValue, "NUL"},
		{gs.Serve(nil, nil), ErrNull, ""},
		{second(gs.GRPC(nil)), ErrNull, ""},
		{second(gs.ErrGroup(Drain, "x", nil, nil)), ErrNull, ""},
		{second(gs.Group("\xff")), ErrNotUTF8, ""},
	} {
		wants(t, c.err, c.kind, c.words)
	}
	if gs.State() != Armed || gs.Report() != nil || gs.Phase() != "" {
		t.Fatal(gs.State(), gs.Report(), gs.Phase())
	}
}

func second[T any](_ T, err error) error { return err }

func TestInstallTwice(t *testing.T) {
	gs := local(t, Grace(5*time.Second))
	again, err := Install(Exit(ExitManual), Report("none"), Grace(5*time.Second))
	must(t, err)
	if again != gs || Current() != gs {
		t.Error("another runtime")
	}
	_, err = Install(Exit(ExitManual), Report("none"), Grace(6*time.Second))
	wants(t, err, ErrDisagree, "grace")
}

// A second install that is refused takes nothing from the first.
func TestARefusedInstallChangesNothing(t *testing.T) {
	t.Parallel()
	start(t, "refused").signal(term).end().code(0).said("refused true", "hook flush/b")
}

func TestEverythingIsClosedAfterUninstall(t *testing.T) {
	gs := local(t)
	h, err := gs.Hook(Drain, "x", named)
	must(t, err)
	must(t, gs.Uninstall())
	_, waited := gs.Wait()
	for _, err := range []error{
		gs.Uninstall(), gs.Ready(), gs.Stop("x", 0), gs.OnEvent(func(Event) {}), gs.OnReload("x", func() error { return nil }), waited,
		second(gs.Hook(Drain, "x", named)), second(h.Remove()), second(gs.WaitTimeout(0)), second(gs.DeclareJSON(`{"phase": "drain", "delay": 1}`)),
	} {
		wants(t, err, ErrClosed, "")
	}
	if gs.State() != Idle || Current() != nil {
		t.Error(gs.State())
	}
	gs.Status()
	gs.Plan()
	if work, ok := gs.Track(); ok {
		work.Leave()
	}
}

// A shutdown in this process, with every view of it.
func TestAWholeLifeInManualMode(t *testing.T) {
	var mu sync.Mutex
	var kinds []string
	gs := local(t, Grace(2*time.Second), Events(func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		kinds = append(kinds, e.Kind)
	}))
	if plan := gs.Plan(); !strings.Contains(plan, "grace 2s") {
		t.Error(plan)
	}
	if config := string(gs.Config()); !strings.Contains(config, `"manual"`) {
		t.Error(config)
	}
	work, ok := gs.Track()
	if !ok || gs.InFlight() != 1 {
		t.Fatal("not counted")
	}
	part := work.Enter()
	refused := make(chan bool, 1)
	_, err := gs.Hook(Drain, "looks", func(ctx Context) error {
		_, ok := gs.Track()
		refused <- !ok
		inner := part.Enter() // parts are never refused
		inner.Leave()
		work.Leave()
		work.Leave() // once
		part.Leave()
		return nil
	})
	must(t, err)
	select {
	case <-gs.Stopping():
		t.Fatal("stopping")
	default:
	}
	must(t, gs.Stop("enough", 0))
	code, err := gs.WaitTimeout(limit)
	must(t, err)
	<-gs.Stopping()
	<-gs.Draining()
	<-gs.Done()
	if code != 0 || !<-refused || gs.InFlight() != 0 || gs.State() != Stopped || !gs.IsDraining() {
		t.Error(code, gs.InFlight(), gs.State())
	}
	if report := string(gs.Report()); !strings.Contains(report, `"enough"`) || !strings.Contains(report, `"at_drain_start":2`) {
		t.Error(report)
	}
	wants(t, second(gs.Hook(Final, "x", named)), ErrTooLate, "")
	must(t, gs.Uninstall())
	if gs = local(t); gs.IsStopping() {
		t.Error("a new generation begins stopped")
	}
	mu.Lock()
	defer mu.Unlock()
	if all := strings.Join(kinds, " "); !strings.Contains(all, "trigger") || !strings.Contains(all, "phase_start") {
		t.Error(all)
	}
}

func TestGroups(t *testing.T) {
	gs := local(t)
	uploads, err := gs.Group("uploads")
	must(t, err)
	again, err := gs.Group("uploads")
	must(t, err)
	if again != uploads {
		t.Error("two groups of one name")
	}
	a, _ := uploads.Enter()
	b := a.Enter()
	if uploads.Count() != 2 || gs.InFlight() != 0 {
		t.Error(uploads.Count(), gs.InFlight())
	}
	a.Leave()
	b.Leave()
	if uploads.Count() != 0 {
		t.Error(uploads.Count())
	}
	var none Guard
	none.Leave()
	inner := none.Enter()
	inner.Leave()
}

func TestManyGoroutinesCountRight(t *testing.T) {
	gs := local(t)
	var wg sync.WaitGroup
	for range 16 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 5000 {
				work, ok := gs.Track()
				if !ok {
					t.Error("refused")
				}
				// Leaves on another goroutine now and then.
				done := make(chan struct{})
				go func() { work.Leave(); close(done) }()
				<-done
			}
		}()
	}
	wg.Wait()
	if n := gs.InFlight(); n != 0 {
		t.Error(n)
	}
}

// The kinds are those of the C ABI, all of them.
func TestKindsAreTheHeaders(t *testing.T) {
	ours := map[Kind]bool{
		ErrNull: true, ErrNotUTF8: true, ErrUnknownPhase: true, ErrBadTime: true, ErrBadValue: true, ErrBadConfig: true, ErrBadPlan: true,
		ErrPlanDoesNotFit: true, ErrDisagree: true, ErrClosed: true, ErrTooLate: true, ErrCycle: true, ErrWrongThread: true,
		ErrNotInstalled: true, ErrABIMismatch: true, ErrOS: true, ErrTimeout: true, ErrUnsupported: true, ErrInternal: true,
	}
	for code := 1; code < 200; code++ {
		name := errorName(code)
		if name != "unknown" && !ours[Kind(name)] {
			t.Errorf("%d is %s, which this package has no name for", code, name)
		}
		delete(ours, Kind(name))
	}
	for left := range ours {
		t.Errorf("the library has no %s", string(left))
	}
	if !errors.Is(fmt.Errorf("wrapped: %w", fail(ErrClosed, "x")), ErrClosed) || errors.Is(fail(ErrClosed, "x"), ErrOS) {
		t.Error("errors.Is")
	}
}

func TestAContextForTests(t *testing.T) {
	var zero Context
	zero.Log("x")
	zero.Progress(1, 2)
	if _, limited := zero.Remaining(); limited || zero.Name() != "" || zero.Extend(time.Second) != 0 || zero.Abandoned() != nil {
		t.Error("the zero Context")
	}
	inner, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ctx := Context{Context: inner}
	if left, limited := ctx.Remaining(); !limited || left < 50*time.Second {
		t.Error(left, limited)
	}
	if zero.Phase() != "" || zero.Reason() != "" || zero.Signal() != 0 {
		t.Error("the zero Context")
	}
}
