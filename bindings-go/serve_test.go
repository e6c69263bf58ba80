package graceshut

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// address is the "at ADDRESS" line of a child.
func (c *child) address() string {
	c.t.Helper()
	for _, line := range c.lines {
		if at, ok := strings.CutPrefix(line, "at "); ok {
			return at
		}
	}
	c.t.Fatal("no address")
	return ""
}

func get(t *testing.T, client *http.Client, url string) (status int, body, connection string) {
	t.Helper()
	r, err := client.Get(url)
	must(t, err)
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	must(t, err)
	if r.Close {
		connection = "close"
	}
	return r.StatusCode, string(text), connection
}

func client() *http.Client { return &http.Client{Transport: &http.Transport{}, Timeout: limit} }

// A request in flight is finished, its context lives on, its answer says that the connection ends; new ones get an answer.
func TestServeDrains(t *testing.T) {
	t.Parallel()
	c := start(t, "serve")
	base := "http://" + c.address()
	idle := client()
	if status, body, connection := get(t, idle, base+"/"); status != 200 || body != "hello" || connection != "" {
		t.Fatal(status, body, connection)
	}
	if status, _, _ := get(t, idle, base+"/readyz"); status != 200 {
		t.Fatal("not ready")
	}
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		if status, body, connection := get(t, client(), base+"/slow"); status != 200 || body != "slow <nil>" || connection != "close" {
			t.Error(status, body, connection)
		}
	}()
	c.until("slow came").signal(term)
	time.Sleep(50 * time.Millisecond)
	// The connection that is kept alive, and a new one.
	for _, k := range []*http.Client{idle, client()} {
		if status, _, connection := get(t, k, base+"/"); status != 503 || connection != "close" {
			t.Error(status, connection)
		}
	}
	if status, _, _ := get(t, client(), base+"/readyz"); status != 503 {
		t.Error("ready while draining")
	}
	if status, _, _ := get(t, client(), base+"/livez"); status != 200 {
		t.Error("not alive while draining")
	}
	wg.Wait()
	c.end().code(0).outcome("clean").said("serve <nil>").said("hook flush/b").was("server", "ok").was("inflight", "ok").within(3 * time.Second)
}

// An idle connection is no reason to wait, and nor is one that never asked for anything.
func TestServeEndsIdleConnections(t *testing.T) {
	t.Parallel()
	c := start(t, "serve")
	get(t, client(), "http://"+c.address()+"/")
	silent, err := net.Dial("tcp", c.address())
	must(t, err)
	defer silent.Close()
	c.signal(term).end().code(0).outcome("clean").was("server", "ok").within(3 * time.Second)
}

func init() {
	scenarios["serve, own Shutdown"] = func() {
		gs := withHook()
		// Without a connection drain is over in milliseconds, maybe before the Shutdown, which then does no harm.
		hook(gs, Announce, "takes its time", func(ctx Context) error { return sleeps(ctx, 500*time.Millisecond) })
		ctx, stop := signal.NotifyContext(context.Background(), term)
		defer stop()
		srv := &http.Server{}
		ln := listenLoopback()
		srv.BaseContext = func(net.Listener) context.Context { ready(); return context.Background() }
		go func() { say("serve %v", gs.Serve(srv, ln)) }()
		<-ctx.Done()
		check(srv.Shutdown(context.Background()))
		gs.Wait()
	}
	// In foreground, Serve is the wait for the signal and for the requests: what follows it is the program's own stop.
	scenarios["serve, in place of Shutdown"] = func() {
		gs := withHook()
		// The first moment at which a signal finds a server to drain.
		srv := &http.Server{BaseContext: func(net.Listener) context.Context { ready(); return context.Background() }}
		check(gs.Serve(srv, listenLoopback()))
		say("own stop is over")
		gs.Wait()
	}
}

// The README's two lines. Beside the program's own Shutdown nothing holds kept connections open: the report does not keep that back.
func TestServeTakesThePlaceOfShutdown(t *testing.T) {
	for scenario, want := range map[string]int{"serve, own Shutdown": 1, "serve, in place of Shutdown": 0} {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			e := start(t, scenario).signal(term).end().code(0).outcome("clean")
			warnings, _ := e.rep["warnings"].([]any)
			if len(warnings) != want || want == 1 && !strings.Contains(fmt.Sprint(warnings), "own Shutdown") {
				e.fail("warnings %v", warnings)
			}
			if want == 0 {
				e.said("own stop is over")
			}
		})
	}
}

func TestServeTLSAndHTTP2(t *testing.T) {
	t.Parallel()
	c := start(t, "tls")
	k := &http.Client{Timeout: limit, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}
	base := "https://" + c.address()
	if _, body, _ := get(t, k, base+"/"); body != "HTTP/2.0" {
		t.Fatal(body)
	}
	answered := make(chan string, 1)
	go func() {
		_, body, _ := get(t, k, base+"/slow")
		answered <- body
	}()
	c.until("slow came").signal(term)
	if body := <-answered; body != "HTTP/2.0" {
		t.Error(body)
	}
	c.end().code(0).outcome("clean").said("serve <nil>").was("server", "ok")
}

func dialUpgrade(t *testing.T, address, path string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	must(t, err)
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n", path)
	r := bufio.NewReader(conn)
	for {
		line, err := r.ReadString('\n')
		must(t, err)
		if line == "\r\n" {
			return conn, r
		}
	}
}

// A hijacked connection is followed: told, waited for, and counted.
func TestServeFollowsHijackedConnections(t *testing.T) {
	t.Parallel()
	c := start(t, "hijack")
	conn, r := dialUpgrade(t, c.address(), "/goes")
	defer conn.Close()
	c.until("hijacked, 2 in flight").signal(term) // the handler still runs, and its connection
	if line, err := r.ReadString('\n'); line != "bye\n" {
		t.Error(line, err)
	}
	c.end().code(0).outcome("clean").said("on shutdown", "serve <nil>").was("server", "ok").was("inflight", "ok").within(2 * time.Second)
}

// One that stays is closed at the soft deadline.
func TestServeClosesWhatStays(t *testing.T) {
	t.Parallel()
	c := start(t, "hijack")
	conn, r := dialUpgrade(t, c.address(), "/stays")
	defer conn.Close()
	c.until("hijacked, 2 in flight").signal(term)
	if _, err := r.ReadString('\n'); err != io.EOF {
		t.Error(err)
	}
	c.end().code(1).outcome("degraded").was("server", "cancelled").said("hook flush/b")
}

// The demo service, built as a user would, under load.
func TestNothingIsLostUnderLoad(t *testing.T) {
	graceshut, _ := filepath.Abs("../target/release/graceshut")
	made(t, graceshut, "make cli")
	service := filepath.Join(t.TempDir(), "service")
	build := exec.Command("go", "build", "-o", service, "../examples/go/service.go")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// Modules of Go 1.24 and up listen with MPTCP, whose listeners take no filter.
	for _, multipath := range []string{"0", "2"} {
		t.Run("multipathtcp="+multipath, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			must(t, err)
			_, port, _ := net.SplitHostPort(ln.Addr().String())
			ln.Close()
			base := "http://127.0.0.1:" + port
			verify := exec.Command(graceshut, "verify", "--ready", base+"/readyz", "--load", base+"/work", "--", service)
			verify.Env = append(os.Environ(), "PORT="+port, "GODEBUG=multipathtcp="+multipath)
			out, err := verify.CombinedOutput()
			inTime := regexp.MustCompile(`(?m)^ +server .* ok$`)
			if err != nil || !regexp.MustCompile(`\b0 lost`).Match(out) || !inTime.Match(out) {
				t.Fatalf("%v\n%s", err, out)
			}
		})
	}
}

// Handler alone, on another's server; the page's word is the process's, so nothing else may run beside it.
func TestHandlerCountsAndWritersKeepTheirPowers(t *testing.T) {
	gs, err := Install(Exit(ExitManual), Report("none"))
	must(t, err)
	defer func() { must(t, gs.Uninstall()) }()
	inside := make(chan int, 1)
	handler := gs.Handler(gs.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, flushes := w.(http.Flusher)
		_, hijacks := w.(http.Hijacker)
		_, reads := w.(io.ReaderFrom)
		if !flushes || !hijacks || !reads || http.NewResponseController(w).SetReadDeadline(time.Time{}) != nil {
			t.Error(flushes, hijacks, reads)
		}
		inside <- gs.InFlight()
		if r.URL.Path == "/panics" {
			panic(http.ErrAbortHandler)
		}
		io.Copy(w, strings.NewReader("body"))
	})))
	server := httptest.NewServer(handler)
	defer server.Close()
	if status, body, connection := get(t, client(), server.URL); status != 200 || body != "body" || connection != "" {
		t.Error(status, body, connection)
	}
	if n := <-inside; n != 1 {
		t.Errorf("%d in flight inside", n)
	}
	if _, err := client().Get(server.URL + "/panics"); err == nil {
		t.Error("an aborted answer came")
	}
	<-inside
	for begun := time.Now(); gs.InFlight() != 0; {
		if time.Since(begun) > limit {
			t.Fatal("still in flight")
		}
	}
	recorder := httptest.NewRecorder()
	handler2 := gs.Handler(gs.ReadyHandler())
	handler2.ServeHTTP(recorder, httptest.NewRequest("GET", "/", nil))
	if recorder.Code != 200 {
		t.Error(recorder.Code)
	}
}
