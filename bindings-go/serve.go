package graceshut

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Serve serves srv on ln until the shutdown has drained it, and then answers nil; another error is srv's own. The process goes
// on with the later phases: end main with Wait.
//
//   - Until drain everything is served, also after the signal (readiness is red then: ReadyHandler).
//   - In drain new requests are answered with 503 and Connection: close, those in flight are finished. The listener stays open
//     until it can be closed without resetting a client (spec 9.4); then connections that sit idle end.
//   - Hijacked connections (WebSocket) are work in flight until they are closed. srv.RegisterOnShutdown's functions are
//     called once the listener is closed.
//   - At the soft deadline what is left is closed, and the hook ends cancelled.
//   - Request contexts are not cancelled by a signal. Answers that never end hold drain up: EndStreamsAfter.
//
// It takes the place of srv.Shutdown, which closes kept connections under their next request: a program that calls that itself at the
// signal loses what it loses without graceshut, and the report's warnings say so.
//
// It registers a hook in drain, named "server" or as Name says, sets serving, and wraps srv.Handler (as Handler) and
// srv.ConnState. Call it once for a server. For TLS use ServeTLS: over a tls.NewListener requests would have no r.TLS.
func (rt *Runtime) Serve(srv *http.Server, ln net.Listener, options ...HookOption) error {
	return rt.serve(srv, ln, srv.Serve, options)
}

// ServeTLS is Serve with TLS, as http.Server.ServeTLS.
func (rt *Runtime) ServeTLS(srv *http.Server, ln net.Listener, certFile, keyFile string, options ...HookOption) error {
	return rt.serve(srv, ln, func(l net.Listener) error { return srv.ServeTLS(l, certFile, keyFile) }, options)
}

// Name sets the name of Serve's hook.
func Name(name string) HookOption {
	return func(o *hookOptions) error {
		o.name = name
		return nil
	}
}

func (rt *Runtime) serve(srv *http.Server, ln net.Listener, run func(net.Listener) error, options []HookOption) error {
	if srv == nil || ln == nil {
		return fail(ErrNull, "Serve needs a server and a listener")
	}
	o := hookOptions{name: "server"}
	for _, option := range options {
		if option == nil {
			return fail(ErrNull, "an option of Serve is nil")
		}
		if err := option(&o); err != nil {
			return err
		}
	}
	if o.refuse != nil {
		return fail(ErrUnsupported, "Refuse is for Listener: Serve refuses by itself, and gs.Draining() tells of it")
	}
	s := &server{rt: rt, srv: srv, open: map[*conn]http.ConnState{}, gone: make(chan struct{}), endStreams: o.endStreams}
	if o.streams {
		s.streams = &streams{endless: o.endless, all: map[*stream]bool{}}
	}
	s.ln = &listener{Listener: ln, s: s}
	handler := srv.Handler
	if handler == nil {
		handler = http.DefaultServeMux
	}
	srv.Handler = &counted{rt: rt, next: handler, refused: s.came, streams: s.streams}
	s.chained = srv.ConnState
	srv.ConnState = s.changed
	hook, err := rt.Hook(Drain, o.name, s.drain, options...)
	if err != nil {
		return err
	}
	if err := rt.SetServing(true); err != nil {
		return err
	}
	err = run(s.ln)
	if s.closing() {
		<-s.gone
		return nil
	}
	// It ended by itself: there is nothing to drain.
	_, _ = hook.Remove()
	if errors.Is(err, http.ErrServerClosed) {
		go rt.warnOfOwnShutdown(o.name)
	}
	return err
}

// One signal reaches the plan and the program's own Shutdown; which of them comes first is not known.
const atTheSameTime = 200 * time.Millisecond

func (rt *Runtime) warnOfOwnShutdown(name string) {
	select {
	case <-rt.Stopping():
		rt.warn("hook drain/" + name + ": the program called its server's own Shutdown or Close: a client on a kept connection may have" +
			" lost a request. Serve takes the place of that call")
	case <-time.After(atTheSameTime):
	}
}

type server struct {
	rt      *Runtime
	srv     *http.Server
	ln      *listener
	chained func(net.Conn, http.ConnState)
	gone    chan struct{} // the hook has ended

	streams    *streams // nil without EndStreamsAfter
	endStreams time.Duration

	asked     atomic.Bool // work was refused since the drain looked last (probes keep coming)
	connected atomic.Bool // a connection was accepted since

	mu      sync.Mutex
	open    map[*conn]http.ConnState
	drained bool // the listener is closed by us
}

func (s *server) closing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.drained
}

// changed is srv.ConnState.
func (s *server) changed(c net.Conn, state http.ConnState) {
	if own := ownConn(c); own != nil {
		s.mu.Lock()
		switch state {
		case http.StateClosed:
			delete(s.open, own)
		case http.StateHijacked:
			// Gone from net/http's sight, and from now on a unit of work of its own.
			own.work = s.rt.work.Part()
			own.hijacked = true
			s.open[own] = state
		default:
			s.open[own] = state
		}
		s.mu.Unlock()
	}
	if s.chained != nil {
		s.chained(c, state)
	}
}

func (s *server) came() { s.asked.Store(true) }

func ownConn(c net.Conn) *conn {
	for {
		switch t := c.(type) {
		case *conn:
			return t
		case interface{ NetConn() net.Conn }: // tls.Conn
			c = t.NetConn()
		default:
			return nil
		}
	}
}

// drain is the hook.
func (s *server) drain(ctx Context) error {
	defer close(s.gone)
	if s.streams != nil {
		s.streams.tell()
		defer time.AfterFunc(s.endStreams, s.streams.expire).Stop()
	}
	l := newLinger(ctx)
	until(ctx, func() bool {
		return l.look(seen{came: s.asked.Swap(false), connected: s.connected.Swap(false), busy: s.isBusy()}, s.ln.Listener)
	})
	l.free()
	s.mu.Lock()
	s.drained = true
	s.mu.Unlock()
	s.ln.Close()
	s.endIdle(ctx)
	// Tells srv.RegisterOnShutdown's functions; what is left, it waits for as we do.
	go func() { _ = s.srv.Shutdown(ctx) }()
	if until(ctx, func() bool { return s.count() == 0 }) {
		return nil
	}
	_ = s.srv.Close()
	s.closeHijacked()
	return ctx.Err()
}

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// isBusy: a client is still to be answered, or to be told with its next answer.
func (s *server) isBusy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.open {
		if !c.hijacked {
			return true
		}
	}
	return false
}

// endIdle ends connections that wait for a request. Shutting the reading side makes their goroutine see the end after
// anything that had already arrived, and answer that; a close would reset it.
func (s *server) endIdle(ctx context.Context) {
	until(ctx, func() bool {
		idle := 0
		s.mu.Lock()
		for c, state := range s.open {
			if state == http.StateIdle || state == http.StateNew {
				idle++
				c.endReading()
			}
		}
		s.mu.Unlock()
		return idle == 0
	})
}

func (s *server) closeHijacked() {
	s.mu.Lock()
	left := make([]*conn, 0, len(s.open))
	for c := range s.open {
		left = append(left, c)
	}
	s.mu.Unlock()
	for _, c := range left {
		c.Close()
	}
}

// ---- the listener and its connections ----

type listener struct {
	net.Listener
	s    *server
	once sync.Once
	err  error
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.s.connected.Store(true)
	own := &conn{Conn: c, s: l.s}
	l.s.mu.Lock()
	l.s.open[own] = http.StateNew
	l.s.mu.Unlock()
	return own, nil
}

func (l *listener) Close() error {
	l.once.Do(func() { l.err = l.Listener.Close() })
	return l.err
}

// conn is an accepted connection; it can all that net.TCPConn can that net/http and its handlers look for.
type conn struct {
	net.Conn
	s        *server
	hijacked bool  // under s.mu
	work     Guard // while hijacked, under s.mu
	once     sync.Once
	err      error
}

// Close also ends a hijacked connection's unit of work.
func (c *conn) Close() error {
	c.once.Do(func() {
		c.err = c.Conn.Close()
		c.s.mu.Lock()
		if c.hijacked {
			delete(c.s.open, c)
			c.work.Leave()
		}
		c.s.mu.Unlock()
	})
	return c.err
}

func (c *conn) endReading() {
	if half, ok := c.Conn.(interface{ CloseRead() error }); ok {
		_ = half.CloseRead()
		return
	}
	_ = c.Conn.SetReadDeadline(time.Now())
}

// CloseWrite is what net/http looks for to close without a reset.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// ReadFrom keeps sendfile.
func (c *conn) ReadFrom(r io.Reader) (int64, error) {
	if rf, ok := c.Conn.(io.ReaderFrom); ok {
		return rf.ReadFrom(r)
	}
	return io.Copy(struct{ io.Writer }{c.Conn}, r)
}

// SyscallConn gives the descriptor, where there is one.
func (c *conn) SyscallConn() (syscall.RawConn, error) {
	if sc, ok := c.Conn.(syscall.Conn); ok {
		return sc.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}

// NetConn is the connection itself, for a hijacker that needs its type (as tls.Conn has it).
func (c *conn) NetConn() net.Conn { return c.Conn }
