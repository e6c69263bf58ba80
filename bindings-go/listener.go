package graceshut

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Listener is a server's listener in the plan; made by Runtime.Listener. It is a net.Listener itself: give it to the server in
// place of the one it was made from. Any goroutine.
type Listener struct {
	rt     *Runtime
	ln     net.Listener
	stop   func(ctx context.Context) error
	refuse func()

	refused   atomic.Bool // work came since the drain looked last
	connected atomic.Bool // a connection was accepted since

	once sync.Once
	err  error
}

// Refuse gives Listener a function that is called once when drain begins, before the first request is refused: for servers that have a
// switch of their own for "no new work" (health services, GOAWAY).
func Refuse(f func()) HookOption {
	return func(o *hookOptions) error {
		if f == nil {
			return fail(ErrNull, "Refuse needs a function")
		}
		o.refuse = f
		return nil
	}
}

// Listener takes a server into the plan that graceshut has no adapter for: any that accepts from a net.Listener and can be stopped
// (docs/spec.md 9.5). It registers a hook in drain, named "server" or as Name says, and sets serving.
//
//	l, err := gs.Listener(ln, server.ShutdownWithContext) // fasthttp
//	server.Handler = func(c *fasthttp.RequestCtx) {
//		leave, ok := l.Enter()
//		if !ok { c.Error("draining", 503); c.SetConnectionClose(); return } // in this order: Error resets the answer
//		defer leave()
//		if l.Stopping() { c.SetConnectionClose() }
//		handle(c)
//	}
//	go server.Serve(l)
//	gs.Wait()
//
// In drain: refuse is called, Enter answers false from now on; what is in flight is waited for, while newcomers are still refused in
// words; then newcomers are turned away and the queue of the listener is emptied (spec 9.4); then stop is called, with the hook's
// context: the server's own way to stop, which closes the listener and may block; nil: the listener is closed. Its error is the
// hook's. Last, what came in meanwhile is waited for.
//
// A server that never calls Enter counts nothing: its requests in flight are cut off when the process leaves.
//
// Errors: ErrNull, ErrUnsupported (EndStreamsAfter), and those of Hook.
func (rt *Runtime) Listener(ln net.Listener, stop func(ctx context.Context) error, options ...HookOption) (*Listener, error) {
	if ln == nil {
		return nil, fail(ErrNull, "Listener needs a net.Listener")
	}
	o := hookOptions{name: "server"}
	for _, option := range options {
		if option == nil {
			return nil, fail(ErrNull, "an option of Listener is nil")
		}
		if err := option(&o); err != nil {
			return nil, err
		}
	}
	if o.streams {
		return nil, fail(ErrUnsupported, "EndStreamsAfter is for Serve: behind Listener an endless answer ends when its handler hears of gs.Draining()")
	}
	l := &Listener{rt: rt, ln: ln, stop: stop, refuse: o.refuse}
	if _, err := rt.Hook(Drain, o.name, l.drain, options...); err != nil {
		return nil, err
	}
	return l, rt.SetServing(true)
}

// Enter counts one request, call or message in. False from drain on: then answer in the words of the protocol that you go (503,
// Connection: close; GOAWAY; a last line) and close the connection. leave ends it, once; call it when the answer is written.
// Never blocks.
func (l *Listener) Enter() (leave func(), ok bool) {
	work, ok := l.rt.Track()
	if !ok {
		l.refused.Store(true)
		return func() {}, false
	}
	var once sync.Once
	return func() {
		once.Do(func() {
			if l.rt.IsDraining() {
				time.AfterFunc(lastBytes, work.Leave) // the server may not have sent all of it yet
				return
			}
			work.Leave()
		})
	}, true
}

// Stopping is true from the trigger on: say Connection: close in every answer, or what your protocol has for it.
func (l *Listener) Stopping() bool { return l.rt.IsStopping() }

// Accept is net.Listener's.
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.ln.Accept()
	if err == nil {
		l.connected.Store(true)
	}
	return c, err
}

// Close closes the listener, once. It begins no shutdown.
func (l *Listener) Close() error {
	l.once.Do(func() { l.err = l.ln.Close() })
	return l.err
}

// Addr is net.Listener's.
func (l *Listener) Addr() net.Addr { return l.ln.Addr() }

// SyscallConn gives the descriptor, where there is one.
func (l *Listener) SyscallConn() (syscall.RawConn, error) {
	if sc, ok := l.ln.(syscall.Conn); ok {
		return sc.SyscallConn()
	}
	return nil, syscall.EINVAL
}

func (l *Listener) busy() bool { return l.rt.InFlight() > 0 }

// drain is the hook.
func (l *Listener) drain(ctx Context) error {
	if l.refuse != nil {
		l.refuse()
	}
	// A stop of the server's own may cut what is in flight: that ends first. The time to close in is kept.
	closing, cancel := context.WithTimeout(ctx, timeBeforeClosing(ctx))
	defer cancel()
	until(closing, func() bool { return !l.busy() })
	lingering := newLinger(ctx)
	until(ctx, func() bool {
		return lingering.look(seen{came: l.refused.Swap(false), connected: l.connected.Swap(false), busy: l.busy()}, l.ln)
	})
	lingering.free()
	stop := l.stop
	if stop == nil {
		stop = func(context.Context) error { return l.Close() }
	}
	if err := stop(ctx); err != nil {
		return err
	}
	if until(ctx, func() bool { return !l.busy() }) {
		return nil
	}
	return ctx.Err()
}

// What lingering takes at most (spec 9.4), and a little more.
const closingTakes = 3500 * time.Millisecond

// timeBeforeClosing is what may be waited before the listener has to begin to close.
func timeBeforeClosing(ctx Context) time.Duration {
	left, limited := ctx.Remaining()
	if !limited {
		return time.Hour
	}
	return left - min(closingTakes, left/2)
}
