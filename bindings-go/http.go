package graceshut

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"time"
)

// Handler counts each request that next serves as work in flight. From drain on it answers 503 itself, and every answer says
// Connection: close. Requests that were let in are served on: their contexts are not cancelled by a signal.
//
// Ready and Live stay reachable while work is refused, as next itself or as a route of a ServeMux that is next. With Serve
// this is done for the whole server; wrap routes by hand when only some of them are work, or with another server than
// net/http's. There an answer's last bytes leave a moment after the handler returned; a unit that ends in drain is
// held for 20 ms for them, which Serve does not need.
func (rt *Runtime) Handler(next http.Handler) http.Handler {
	if next == nil {
		next = http.DefaultServeMux
	}
	return &counted{rt: rt, next: next}
}

const lastBytes = 20 * time.Millisecond

type counted struct {
	rt   *Runtime
	next http.Handler
	// Told of each refusal by Serve, which waits for the connections themselves; nil: Handler alone.
	refused func()
	// Those of Serve with EndStreamsAfter; nil: none.
	streams *streams
}

func (c *counted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if isOurs(w) {
		// Counted further out: what was let in there is not refused here.
		c.next.ServeHTTP(w, r)
		return
	}
	work, ok := c.rt.Track()
	if !ok {
		c.refuse(w, r)
		return
	}
	left := false
	defer func() {
		if !left {
			work.Leave() // next panicked
		}
	}()
	c.serve(w, r, &work)
	left = true
	if c.refused == nil && c.rt.IsDraining() {
		time.AfterFunc(lastBytes, work.Leave)
		return
	}
	work.Leave()
}

func (c *counted) serve(w http.ResponseWriter, r *http.Request, work *Guard) {
	if c.streams == nil {
		c.next.ServeHTTP(answerOf(w, c.rt), r)
		return
	}
	stream, request, done := c.streams.follow(w, r, work)
	defer done()
	c.next.ServeHTTP(answerOf(streamOf(stream), c.rt), request)
}

func (c *counted) refuse(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Connection", "close")
	if probe := probeOf(c.next, r); probe != nil {
		probe.ServeHTTP(w, r)
		return
	}
	if c.refused != nil {
		c.refused()
	}
	http.Error(w, "draining", http.StatusServiceUnavailable)
}

// probeOf is the readiness or liveness handler that next leads to, or nil.
func probeOf(next http.Handler, r *http.Request) http.Handler {
	if mux, ok := next.(*http.ServeMux); ok {
		next, _ = mux.Handler(r)
	}
	if p, ok := next.(*probe); ok {
		return p
	}
	return nil
}

type probe struct{ red func() bool }

func (p *probe) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if p.red() {
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, "stopping\n")
		return
	}
	io.WriteString(w, "ok\n")
}

// ReadyHandler answers 200, and 503 from the trigger on.
func (rt *Runtime) ReadyHandler() http.Handler { return &probe{rt.IsStopping} }

// LiveHandler answers 200 as long as the process serves, also while it stops.
func (rt *Runtime) LiveHandler() http.Handler { return &probe{func() bool { return false }} }

// ---- the answer's Connection: close ----

// answer is a ResponseWriter that says Connection: close from drain on.
type answer struct {
	http.ResponseWriter
	rt   *Runtime
	said bool
}

// The writers of net/http can do more, and which they are decides what a handler may use: HTTP/1 hijacks, HTTP/2 pushes.
type answer1 struct{ answer }
type answer2 struct{ answer }

func answerOf(w http.ResponseWriter, rt *Runtime) http.ResponseWriter {
	a := answer{ResponseWriter: w, rt: rt}
	_, flushes := w.(http.Flusher)
	_, hijacks := w.(http.Hijacker)
	_, pushes := w.(http.Pusher)
	switch {
	case flushes && hijacks:
		return &answer1{a}
	case flushes && pushes:
		return &answer2{a}
	}
	return &a
}

func (a *answer) ours() {}

// isOurs looks through the writers of other middleware.
func isOurs(w http.ResponseWriter) bool {
	for {
		switch t := w.(type) {
		case interface{ ours() }:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = t.Unwrap()
		default:
			return false
		}
	}
}

func (a *answer) begin() {
	if !a.said {
		a.said = true
		if a.rt.IsDraining() {
			a.Header().Set("Connection", "close")
		}
	}
}

func (a *answer) WriteHeader(status int) {
	// 1xx are no answers yet; 101 hands the connection over, and its Connection header is the protocol's.
	if status >= 200 {
		a.begin()
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	a.begin()
	return a.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *answer) flush() {
	a.begin()
	a.ResponseWriter.(http.Flusher).Flush()
}

func (a *answer1) Flush() { a.flush() }
func (a *answer1) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return a.ResponseWriter.(http.Hijacker).Hijack()
}

// ReadFrom keeps sendfile.
func (a *answer1) ReadFrom(src io.Reader) (int64, error) {
	a.begin()
	return io.Copy(a.ResponseWriter, src)
}

func (a *answer2) Flush() { a.flush() }
func (a *answer2) Push(target string, options *http.PushOptions) error {
	return a.ResponseWriter.(http.Pusher).Push(target, options)
}
