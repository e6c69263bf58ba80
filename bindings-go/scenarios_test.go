package graceshut

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"
)

func say(format string, args ...any) { fmt.Fprintf(os.Stdout, format+"\n", args...) }

func check(err error) {
	if err != nil {
		say("FAIL %v", err)
		os.Exit(99)
	}
}

func installed(options ...Option) *Runtime {
	gs, err := Install(options...)
	check(err)
	return gs
}

func named(ctx Context) error {
	say("hook %s/%s", ctx.Phase(), ctx.Name())
	return nil
}

func hook(gs *Runtime, phase Phase, name string, f func(Context) error, options ...HookOption) *Hook {
	h, err := gs.Hook(phase, name, f, options...)
	check(err)
	return h
}

// withHook has a flush hook that says that hooks ran.
func withHook(options ...Option) *Runtime {
	gs := installed(options...)
	hook(gs, Flush, "b", named)
	return gs
}

func ready() { say("ready") }

// idle is the end of a main that has no end of its own.
func idle() {
	ready()
	if gs := Current(); gs != nil {
		gs.Wait()
	}
	select {}
}

// sleeps tells how long one waits with a context.
func sleeps(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

var errBad = errors.New("disk on fire")

func bad(Context) error { return errBad }

func spin(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
	}
}

var scenarios = map[string]func(){
	// ---- how a Go program ends (2.6) ----
	"main_nil": func() { gs := withHook(); ready(); gs.Main(func() error { return nil }) },
	"main_code": func() {
		gs := withHook()
		ready()
		gs.Main(func() error { return fmt.Errorf("wrapped: %w", ExitCode(3)) })
	},
	"main_error":    func() { gs := withHook(); ready(); gs.Main(func() error { return errBad }) },
	"main_panic":    func() { gs := withHook(); ready(); gs.Main(func() error { panic("boom") }) },
	"main_degraded": func() { gs := withHook(); hook(gs, Close, "bad", bad); ready(); gs.Main(func() error { return nil }) },
	"main_degraded4": func() {
		gs := withHook()
		hook(gs, Close, "bad", bad)
		ready()
		gs.Main(func() error { return ExitCode(4) })
	},
	"defer_panic":  func() { gs := withHook(); ready(); defer gs.Wait(); panic(errBad) },
	"defer_wait":   func() { gs := withHook(); defer gs.Wait(); ready() },
	"just_returns": func() { withHook(); ready() },
	"os_exit":      func() { withHook(); ready(); os.Exit(5) },
	"goroutine_panic": func() {
		withHook()
		go func() { ready(); panic("elsewhere") }()
		select {}
	},
	"stops":        func() { gs := withHook(); ready(); check(gs.Stop("enough", 0)); gs.Wait() },
	"waits":        func() { gs := withHook(); ready(); gs.Wait() },
	"no wait":      func() { withHook(Leave(LeaveAtOnce)); idleForever() },
	"idle":         func() { withHook(); idle() },
	"reraise":      func() { withHook(Exit(ExitReraise)); idle() },
	"degraded":     func() { hook(withHook(), Close, "bad", bad); idle() },
	"wait_timeout": waitTimeout,
	"manual":       manual,
	"interactive":  func() { hook(withHook(Repeat(RepeatInteractive)), Drain, "slow", slow); idle() },
	"orchestrated": func() {
		hook(withHook(Repeat(RepeatOrchestrated)), Drain, "slow", func(ctx Context) error { say("slow"); return sleeps(ctx, 1200*time.Millisecond) })
		idle()
	},
	"slow": func() {
		gs := withHook()
		hook(gs, Drain, "slow", slow)
		hook(gs, Flush, "reserved", func(ctx Context) error { say("reserved"); return sleeps(ctx, time.Minute) })
		idle()
	},
	"deadline": func() {
		gs := withHook(Grace(3 * time.Second))
		hook(gs, Drain, "stuck", func(Context) error { say("stuck"); select {} })
		idle()
	},
	"watchdog": func() {
		// No thread of Go's runs anything any more: the goroutine that is to call os.Exit neither.
		installed(Grace(time.Second))
		runtime.GOMAXPROCS(1)
		ready()
		time.Sleep(100 * time.Millisecond)
		stopTheWorld()
	},
	"refused": func() {
		withHook()
		_, err := Install(Grace(7 * time.Second))
		say("refused %v", errors.Is(err, ErrDisagree))
		idle()
	},
	// ---- hooks ----
	"hooks": hooks, "order": order, "cancel": cancelled, "late": late, "under_way": underWay, "hold": hold, "remove": remove,
	"extend": extend, "reload": reload, "events": events, "kinds": kinds, "many": many, "busy": busy, "ended_context": endedContext,
	"exit_in_hook": func() { hook(withHook(), Drain, "exits", func(Context) error { os.Exit(7); return nil }); idle() },
	"code_in_hook": func() {
		gs := withHook()
		hook(gs, Drain, "three", func(Context) error { return ExitCode(3) })
		hook(gs, Flush, "zero", func(Context) error { return ExitCode(0) })
		idle()
	},
	// ---- signals ----
	"notify_before": func() { listen("early", syscall.SIGTERM); withHook(); idle() },
	"notify_after":  func() { withHook(); listen("late", syscall.SIGTERM); idle() },
	"notify_context": func() {
		withHook()
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		go func() { <-ctx.Done(); say("context done") }()
		idle()
	},
	"notify_stop": func() {
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGTERM)
		withHook()
		signal.Stop(c)
		idle()
	},
	"reset":  func() { withHook(); signal.Reset(syscall.SIGTERM); idle() },
	"ignore": ignore,
	"usr1":   func() { withHook(Config(map[string]any{"signals": map[string]any{"USR1": "stop"}})); idle() },
	"exec":   execs,
	"after_uninstall": func() {
		gs := withHook()
		check(gs.Uninstall())
		idle()
	},
	// ---- servers ----
	"serve": serve, "hijack": hijack, "tls": serveTLS,
}

func slow(ctx Context) error { say("slow"); return sleeps(ctx, time.Minute) }

func waitTimeout() {
	gs := withHook()
	_, err := gs.WaitTimeout(10 * time.Millisecond)
	say("timeout %v", errors.Is(err, ErrTimeout))
	_, err = gs.WaitTimeout(-1)
	say("bad time %v", errors.Is(err, ErrBadTime))
	ready()
	code, err := gs.WaitTimeout(limit)
	check(err)
	say("code %d", code)
	os.Exit(code + 40)
}

func manual() {
	gs := withHook(Exit(ExitManual))
	ready()
	code, err := gs.Wait()
	check(err)
	say("code %d %s %v", code, gs.State(), len(gs.Report()) > 0)
	check(gs.Uninstall())
	_, err = gs.Wait()
	say("closed %v", errors.Is(err, ErrClosed))
	gs = installed(Exit(ExitManual))
	say("again %s", gs.State())
	os.Exit(9)
}

func hooks() {
	gs := installed()
	hook(gs, Announce, "a", named)
	hook(gs, Drain, "fails", bad)
	hook(gs, Drain, "optional", bad, Optional())
	hook(gs, Flush, "panics", func(Context) error { var m map[string]int; m["x"] = 1; return nil })
	hook(gs, Flush, "goexit", func(Context) error { runtime.Goexit(); return nil })
	hook(gs, Flush, "cancelled unasked", func(Context) error { return context.Canceled })
	_, err := gs.HookStart(Close, "later", func(c *Completion) {
		go func() {
			say("later %s %s %v", c.Context().Phase(), c.Context().Name(), c.Context().Signal())
			c.Finish(nil)
			c.Finish(errBad) // the first counts
		}()
	})
	check(err)
	_, err = gs.HookStart(Close, "never", func(c *Completion) {}, Timeout(200*time.Millisecond))
	check(err)
	hook(gs, Final, "last", func(ctx Context) error {
		say("abandoned %v", ctx.Abandoned())
		_, err := gs.Wait()
		say("wait %v", errors.Is(err, ErrWrongThread))
		say("uninstall %v", errors.Is(gs.Uninstall(), ErrWrongThread))
		return nil
	})
	idle()
}

func order() {
	gs := installed()
	hook(gs, Final, "f", named)
	hook(gs, Close, "c1", named)
	hook(gs, Close, "c2", named)
	hook(gs, Flush, "third", named, After("second", "nobody"))
	hook(gs, Flush, "second", named, After("first"))
	hook(gs, Flush, "first", func(ctx Context) error { time.Sleep(20 * time.Millisecond); return named(ctx) })
	hook(gs, Drain, "d", named)
	hook(gs, Announce, "a", named)
	go func() { <-gs.Stopping(); say("stopping") }()
	go func() { <-gs.Draining(); say("draining") }()
	idle()
}

func cancelled() {
	gs := installed(Grace(5 * time.Second))
	hook(gs, Flush, "gives up", func(ctx Context) error {
		at, limited := ctx.Deadline()
		left, _ := ctx.Remaining()
		say("deadline %v %v", limited, (time.Until(at)-left).Abs() < 20*time.Millisecond && left > 1300*time.Millisecond)
		// What is derived from it is cancelled with it.
		inner, stop := context.WithTimeout(ctx, time.Minute)
		defer stop()
		<-inner.Done()
		left, _ = ctx.Remaining()
		say("cause %v %v", context.Cause(ctx) == ErrSoftDeadline, left > 50*time.Millisecond)
		return fmt.Errorf("gave up: %w", inner.Err())
	}, Timeout(1500*time.Millisecond))
	idle()
}

func late() {
	gs := installed(Grace(5 * time.Second))
	hook(gs, Flush, "late", func(ctx Context) error { <-ctx.Done(); return nil }, Timeout(1500*time.Millisecond))
	hook(gs, Flush, "stuck", func(ctx Context) error { select {} }, Timeout(300*time.Millisecond))
	idle()
}

func underWay() {
	gs := installed()
	hook(gs, Drain, "registers", func(ctx Context) error {
		_, err := gs.Hook(Announce, "past", named)
		say("past %v", errors.Is(err, ErrTooLate))
		hook(gs, Drain, "now", named)
		hook(gs, Close, "then", named)
		check(gs.Stop("again", 0))
		say("%s %s %v", gs.State(), gs.Phase(), gs.Report() == nil)
		return nil
	})
	idle()
}

func hold() {
	gs := installed(Hold())
	check(syscall.Kill(os.Getpid(), syscall.SIGTERM))
	hook(gs, Flush, "registered after the signal", named)
	ready()
	check(gs.Ready())
	gs.Wait()
}

func remove() {
	gs := withHook()
	h := hook(gs, Flush, "gone", named)
	fmt.Println(h.Remove())
	fmt.Println(h.Remove())
	var running *Hook
	running = hook(gs, Close, "running", func(Context) error { fmt.Println(running.Remove()); return nil })
	idle()
}

func extend() {
	hook(installed(), Flush, "extends", func(ctx Context) error {
		before, _ := ctx.Remaining()
		granted := ctx.Extend(500 * time.Millisecond)
		after, _ := ctx.Remaining()
		say("granted %v %v %v", granted > 0 && granted <= 500*time.Millisecond, after > before, ctx.Extend(-1) == 0)
		return sleeps(ctx, 350*time.Millisecond)
	}, Timeout(200*time.Millisecond))
	idle()
}

func reload() {
	gs := withHook()
	check(gs.OnReload("files", func() error { say("reloaded"); return nil }))
	check(gs.OnReload("panics", func() error { panic("on reload") }))
	check(gs.OnReload("fails", func() error { say("last"); return errBad }))
	idle()
}

func events() {
	gs := installed(Events(func(e Event) {
		if e.Kind == "log" || e.Kind == "progress" || e.Kind == "hook_end" && e.Hook == "b" {
			say("event %s %s %s %s %d/%d %s", e.Kind, e.Phase, e.Hook, e.Outcome, e.Value, e.Total, e.Message)
		}
		time.Sleep(2 * time.Millisecond) // a logger that is slower than the plan
		if e.Kind == "finished" {
			say("event finished %s", e.Outcome)
		}
		if e.Kind == "phase_start" {
			panic("an event callback's panic is told and contained")
		}
	}))
	hook(gs, Flush, "b", func(ctx Context) error {
		ctx.Log("half\x00way")
		ctx.Progress(1, 2)
		return nil
	})
	ready()
	gs.Wait()
}

func kinds() {
	gs := installed()
	_, err := gs.Declare(map[string]any{"phase": "flush", "name": "sync", "exec": []string{"sh", "-c", "echo exec ran"}})
	check(err)
	_, err = gs.Declare(map[string]any{"phase": Drain, "name": "pause", "delay": 100 * time.Millisecond})
	check(err)
	_, err = gs.Declare(map[string]any{"phase": "announce", "name": "registry", "http": map[string]any{"method": "PUT", "url": os.Getenv("HTTP_URL")}})
	check(err)
	_, err = gs.DeclareJSON(`{"phase": "close", "name": "child", "signal": {"pid": ` + os.Getenv("SIGNAL_PID") + `, "signal": "USR1"}}`)
	check(err)
	idle()
}

// many hooks that wait are many goroutines, and few threads.
func many() {
	gs := installed()
	for i := range 200 {
		hook(gs, Drain, fmt.Sprint("h", i), func(ctx Context) error { return sleeps(ctx, 300*time.Millisecond) })
	}
	hook(gs, Drain, "counts", func(Context) error {
		time.Sleep(100 * time.Millisecond)
		tasks, err := os.ReadDir("/proc/self/task")
		check(err)
		say("threads %v", len(tasks) < 40)
		if len(tasks) >= 40 {
			say("%d threads", len(tasks))
		}
		return nil
	})
	idle()
}

// busy: one P, and a goroutine that never lets it go by itself. A native hook is on time all the same.
func busy() {
	runtime.GOMAXPROCS(1)
	gs := installed(Grace(5 * time.Second))
	hook(gs, Drain, "stuck in Go", func(Context) error { spin(time.Minute); return nil }, Timeout(300*time.Millisecond))
	_, err := gs.Declare(map[string]any{"phase": "drain", "name": "native", "delay": time.Millisecond})
	check(err)
	_, err = gs.Declare(map[string]any{"phase": "flush", "name": "native flush", "exec": []string{"true"}})
	check(err)
	go spin(time.Minute)
	idle()
}

// endedContext: once a hook has ended its context answers nothing and crashes nothing.
func endedContext() {
	gs := installed()
	var kept Context
	hook(gs, Drain, "b", func(ctx Context) error { kept = ctx; return nil })
	hook(gs, Flush, "looks", func(Context) error {
		left, limited := kept.Remaining()
		_, has := kept.Deadline()
		kept.Log("nobody hears")
		kept.Progress(1, 2)
		say("ended %v %v %v %v %v %s", left, limited, has, kept.Extend(time.Second), kept.Abandoned(), kept.Name())
		say("err %v", kept.Err())
		return nil
	})
	idle()
}

func listen(who string, signals ...os.Signal) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, signals...)
	go func() {
		for s := range c {
			say("%s got %v", who, s)
		}
	}()
}

func ignore() {
	withHook()
	signal.Ignore(syscall.SIGTERM)
	say("ignored %v", ignored(syscall.SIGTERM))
	for ignored(syscall.SIGTERM) {
		time.Sleep(20 * time.Millisecond)
	}
	idle()
}

func execs() {
	gs := installed()
	hook(gs, Drain, "child", func(Context) error {
		out, err := exec.Command("cat", "/proc/self/status").Output()
		check(err)
		for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
			say("%s", strings.Join(strings.Fields(line), " "))
		}
		return nil
	})
	idle()
}

func listenLoopback() net.Listener {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	say("at %s", ln.Addr())
	return ln
}

// answered says what serve answers; the process does not leave before: it would, 50 ms after the last phase.
func answered(gs *Runtime, serve func() error) {
	said := make(chan struct{})
	hook(gs, Close, "said", func(Context) error { <-said; return nil })
	say("serve %v", serve())
	close(said)
	gs.Wait()
}

func serve() {
	gs := withHook()
	mux := http.NewServeMux()
	mux.Handle("/readyz", gs.ReadyHandler())
	mux.Handle("/livez", gs.LiveHandler())
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		say("slow came")
		err := sleeps(r.Context(), 400*time.Millisecond)
		fmt.Fprintf(w, "slow %v", err)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello") })
	ln := listenLoopback()
	ready()
	answered(gs, func() error { return gs.Serve(&http.Server{Handler: mux}, ln) })
}

func hijack() {
	gs := withHook(Grace(3 * time.Second))
	told := make(chan struct{})
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := w.(http.Hijacker).Hijack()
		check(err)
		fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
		check(rw.Flush())
		say("hijacked, %d in flight", gs.InFlight())
		if r.URL.Path == "/stays" {
			return
		}
		<-told
		fmt.Fprintf(rw, "bye\n")
		check(rw.Flush())
		check(c.Close())
	})}
	srv.RegisterOnShutdown(func() { say("on shutdown"); close(told) })
	ln := listenLoopback()
	ready()
	answered(gs, func() error { return gs.Serve(srv, ln) })
}
