package graceshut

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func init() {
	scenarios["any"] = anyServer
	scenarios["streams"] = func() { endless(EndStreamsAfter(300*time.Millisecond, "Application/X-NDJSON")) }
	scenarios["streams off"] = func() { endless() }
}

// The README's recipe under load: each line that a client gets in is answered or refused in words.
func TestAServerWithoutAnAdapterLosesNothing(t *testing.T) {
	t.Parallel()
	app := filepath.Join(t.TempDir(), "any")
	if out, err := exec.Command("go", "build", "-o", app, "../examples/go/any_server.go").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	c := spawn(t, exec.Command(app), "PORT=0")
	var address string
	for address == "" {
		line, err := c.out.ReadString('\n')
		must(t, err)
		address, _ = strings.CutPrefix(strings.TrimSpace(line), "at ")
	}
	var lost sync.Map
	var answered, told atomic.Int64
	var clients sync.WaitGroup
	for range 8 {
		clients.Add(1)
		go func() {
			defer clients.Done()
			for {
				conn, err := net.DialTimeout("tcp", address, 5*time.Second)
				if err != nil {
					return // closed: a balancer goes elsewhere
				}
				err = lines(conn, &answered, &told)
				conn.Close()
				if err != nil {
					lost.Store(err.Error(), true)
					return
				}
			}
		}()
	}
	for answered.Load() < 100 {
		time.Sleep(time.Millisecond)
	}
	e := c.signal(term).end()
	clients.Wait()
	lost.Range(func(words, _ any) bool { t.Error("lost: ", words); return true })
	if told.Load() == 0 {
		t.Error("no client was told to go elsewhere")
	}
	e.code(0).outcome("clean").was("server", "ok").within(5 * time.Second)
}

// lines asks for a few answers over one connection.
func lines(conn net.Conn, answered, told *atomic.Int64) error {
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	r := bufio.NewReader(conn)
	for i := range 5 {
		fmt.Fprintln(conn, "line", i)
		switch answer, err := r.ReadString('\n'); {
		case err != nil:
			return err
		case answer == "BYE\n":
			told.Add(1)
			time.Sleep(5 * time.Millisecond)
			return nil
		default:
			answered.Add(1)
		}
	}
	return nil
}

// anyServer has a stop of its own that cuts what it finds.
func anyServer() {
	gs := withHook()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	cut := make(chan struct{})
	l, err := gs.Listener(ln, func(context.Context) error {
		say("stop, %d in flight", gs.InFlight())
		close(cut)
		return ln.Close()
	}, Name("lines"), Refuse(func() { say("refuse, draining %v", gs.IsDraining()) }))
	check(err)
	say("at %v", l.Addr())
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				leave, ok := l.Enter()
				if !ok {
					fmt.Fprintln(c, "BYE")
					return
				}
				defer leave()
				say("came")
				select {
				case <-time.After(400 * time.Millisecond):
					fmt.Fprintf(c, "done %v\n", l.Stopping())
				case <-cut:
				}
			}()
		}
	}()
	ready()
	gs.Wait()
}

func TestListenerWaitsBeforeItStopsTheServer(t *testing.T) {
	t.Parallel()
	c := start(t, "any")
	conn, err := net.Dial("tcp", c.address())
	must(t, err)
	defer conn.Close()
	c.until("came").signal(term)
	if answer, err := io.ReadAll(conn); string(answer) != "done true\n" {
		t.Error(string(answer), err)
	}
	c.end().code(0).outcome("clean").said("refuse, draining true", "stop, 0 in flight", "hook flush/b").was("lines", "ok")
}

// endless serves answers of every kind that do not end by themselves.
func endless(options ...HookOption) {
	gs := withHook()
	mux := http.NewServeMux()
	flush := func(w http.ResponseWriter, text string) error {
		if _, err := io.WriteString(w, text); err != nil {
			return err
		}
		return http.NewResponseController(w).Flush()
	}
	const events, lines = "text/event-stream", "application/x-ndjson; charset=utf-8"
	typed := func(w http.ResponseWriter, kind string) { w.Header().Set("Content-Type", kind) }
	mux.HandleFunc("/heeds", func(w http.ResponseWriter, r *http.Request) {
		typed(w, events)
		flush(w, "hello ")
		<-r.Context().Done()
		flush(w, fmt.Sprint("bye ", errors.Is(context.Cause(r.Context()), ErrDraining)))
	})
	mux.HandleFunc("/writes", func(w http.ResponseWriter, r *http.Request) {
		typed(w, lines)
		for flush(w, "x") == nil {
			time.Sleep(20 * time.Millisecond)
		}
		say("writing ended")
	})
	mux.HandleFunc("/stuck", func(w http.ResponseWriter, r *http.Request) {
		typed(w, events)
		flush(w, "stuck")
		select {}
	})
	// A download that ends early would look whole, so it is left to end.
	mux.HandleFunc("/export", func(w http.ResponseWriter, r *http.Request) {
		typed(w, "text/csv")
		for i := range 7 {
			check(flush(w, fmt.Sprint(i)))
			time.Sleep(100 * time.Millisecond)
		}
		fmt.Fprint(w, " whole ", r.Context().Err())
	})
	mux.HandleFunc("/poll", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(700 * time.Millisecond)
		fmt.Fprint(w, "slow ", r.Context().Err())
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	say("at %v", ln.Addr())
	counted := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { say("came"); mux.ServeHTTP(w, r) })
	go func() { say("serve %v", gs.Serve(&http.Server{Handler: counted}, ln, options...)) }()
	ready()
	gs.Wait()
}

func TestEndlessAnswersEndInOrder(t *testing.T) {
	t.Parallel()
	c := start(t, "streams")
	want := map[string]string{"GET /heeds": "200 hello bye true", "GET /stuck": "200 stuck", "GET /poll": "503 draining\n", "GET /export": "200 0123456 whole <nil>", "POST /slow": "200 slow <nil>"}
	var wg sync.WaitGroup
	ask := func(method, path string, matches func(string) bool) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			asked, _ := http.NewRequest(method, "http://"+c.address()+path, nil)
			answer, err := client().Do(asked)
			if err != nil {
				t.Error(path, err)
				return
			}
			defer answer.Body.Close()
			body, err := io.ReadAll(answer.Body)
			if got := fmt.Sprint(answer.StatusCode, " ", string(body)); err != nil || !matches(got) {
				t.Errorf("%s: %q %v", path, got, err)
			}
		}()
		c.until("came")
	}
	ask("GET", "/writes", func(got string) bool { return strings.HasPrefix(got, "200 xx") })
	for asked, answer := range want {
		method, path, _ := strings.Cut(asked, " ")
		ask(method, path, func(got string) bool { return got == answer })
	}
	c.signal(term)
	wg.Wait()
	c.end().code(0).outcome("clean").said("writing ended").was("server", "ok").was("inflight", "ok").within(3 * time.Second)
}

// As it was, and is without the option.
func TestWithoutTheOptionEndlessAnswersHoldDrainUp(t *testing.T) {
	t.Parallel()
	c := start(t, "streams off", "GRACESHUT_GRACE=1500ms")
	answer, err := client().Get("http://" + c.address() + "/heeds")
	must(t, err)
	defer answer.Body.Close()
	c.signal(term).end().code(1).outcome("degraded").was("server", "cancelled")
}

func TestListenerAndItsOptionsRefuse(t *testing.T) {
	rt := &Runtime{}
	_, err := rt.Listener(nil, nil)
	wants(t, err, ErrNull, "net.Listener")
	ln := listenLoopback()
	defer ln.Close()
	_, err = rt.Listener(ln, nil, EndStreamsAfter(time.Second))
	wants(t, err, ErrUnsupported, "Draining")
	wants(t, rt.Serve(&http.Server{}, ln, Refuse(func() {})), ErrUnsupported, "Listener")
	_, err = rt.GRPC(nothing{}, EndStreamsAfter(time.Second))
	wants(t, err, ErrUnsupported, "Draining")
	wants(t, Refuse(nil)(&hookOptions{}), ErrNull, "Refuse")
	wants(t, EndStreamsAfter(-1)(&hookOptions{}), ErrBadTime, "EndStreamsAfter")
	wants(t, Leave("later")(&settings{json: map[string]any{}}), ErrBadValue, "LeaveByItself")
}

type nothing struct{}

func (nothing) GracefulStop() {}
func (nothing) Stop()         {}
