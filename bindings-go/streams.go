package graceshut

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// ErrDraining is the cause (context.Cause) of the context of an endless answer that is to end, and what writing it answers once its
// time is over.
var ErrDraining = errors.New("graceshut: the process drains, this answer is to end")

// EndStreamsAfter lets Serve end answers that would never end by themselves: server-sent events, long polls (docs/spec.md 9.6). From the
// start of drain on the request context of every stream is cancelled, with
// ErrDraining as its cause: a handler that heeds it says its last words and returns, and the answer ends as every other. After d writing
// fails with ErrDraining, the answer is given its last chunk and its connection closed, which is clean. A GET whose answer has
// not begun by then counts as a long poll: its context is cancelled too, and it is answered 503.
//
// A stream is an answer that was flushed without a Content-Length and whose Content-Type is text/event-stream,
// multipart/x-mixed-replace or one of types ("application/x-ndjson"). Other requests and answers have all the time of drain, and
// their contexts are never cancelled: a download ended early would look complete to its client.
//
// Over HTTP/2 the last chunk waits for the handler to return. For gRPC see Runtime.Draining. Not given: off.
func EndStreamsAfter(d time.Duration, types ...string) HookOption {
	return func(o *hookOptions) error {
		if d < 0 {
			return fail(ErrBadTime, "EndStreamsAfter(%v): give 0 or more", d)
		}
		o.endStreams, o.streams = d, true
		o.endless = map[string]bool{"text/event-stream": true, "multipart/x-mixed-replace": true}
		for _, one := range types {
			o.endless[mediaType(one)] = true
		}
		return nil
	}
}

func mediaType(contentType string) string {
	kind, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(kind))
}

// streams are the answers under way of one server with EndStreamsAfter.
type streams struct {
	endless map[string]bool // types of content

	mu      sync.Mutex
	all     map[*stream]bool
	told    bool // drain has begun
	expired bool // their time is over
}

// stream is one answer. It lies between the handler and net/http, and after its time alone decides what the client still gets.
type stream struct {
	of      *streams
	get     bool
	chunked bool // without a length its end is a last chunk
	cancel  context.CancelCauseFunc

	mu      sync.Mutex // held to write
	work    *Guard     // the request's unit
	writer  http.ResponseWriter
	begun   bool // its head is written
	endless bool // a stream that was flushed
	ended   bool // the handler may write no more
}

// follow wraps a request and its answer; done ends it. Until then work is under the stream's lock.
func (s *streams) follow(w http.ResponseWriter, r *http.Request, work *Guard) (st *stream, request *http.Request, done func()) {
	ctx, cancel := context.WithCancelCause(r.Context())
	st = &stream{of: s, get: r.Method == http.MethodGet, chunked: r.ProtoAtLeast(1, 1), cancel: cancel, work: work, writer: w}
	s.mu.Lock()
	s.all[st] = true
	expired := s.expired
	s.mu.Unlock()
	if expired {
		st.expire()
	}
	return st, r.WithContext(ctx), func() {
		s.mu.Lock()
		delete(s.all, st)
		s.mu.Unlock()
		st.finish()
		cancel(context.Canceled)
	}
}

func (s *streams) each() []*stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*stream, 0, len(s.all))
	for st := range s.all {
		all = append(all, st)
	}
	return all
}

// tell is the start of drain.
func (s *streams) tell() {
	s.mu.Lock()
	s.told = true
	s.mu.Unlock()
	for _, st := range s.each() {
		st.mu.Lock()
		endless := st.endless
		st.mu.Unlock()
		if endless {
			st.cancel(ErrDraining)
		}
	}
}

// expire is the end of their time.
func (s *streams) expire() {
	s.mu.Lock()
	s.expired = true
	s.mu.Unlock()
	for _, st := range s.each() {
		st.expire()
	}
}

// expire ends what is endless. A handler that is stuck in a write to a client that does not read keeps its answer until the soft deadline.
func (st *stream) expire() {
	if !st.mu.TryLock() {
		// A handler writes just now, most likely for microseconds.
		time.AfterFunc(look, st.expireIfThere)
		return
	}
	defer st.mu.Unlock()
	if st.work == nil || st.ended || !st.endless && (st.begun || !st.get) {
		return
	}
	st.ended = true
	st.cancel(ErrDraining)
	if st.endless && st.lastChunk() {
		st.work.Leave()
	}
}

func (st *stream) expireIfThere() {
	st.of.mu.Lock()
	there := st.of.all[st]
	st.of.mu.Unlock()
	if there {
		st.expire()
	}
}

// lastChunk takes the connection from under a handler that has not returned; false where that cannot be done. Between two writes the
// answer stands at the end of a chunk.
func (st *stream) lastChunk() bool {
	hijacker, ok := st.writer.(http.Hijacker)
	if !ok {
		return false
	}
	_ = http.NewResponseController(st.writer).Flush()
	c, buffered, err := hijacker.Hijack()
	if err != nil {
		return false
	}
	_ = c.SetWriteDeadline(time.Now().Add(time.Second))
	if st.chunked {
		_, _ = buffered.WriteString("0\r\n\r\n")
	}
	_ = buffered.Flush()
	_ = c.Close()
	return true
}

// finish is the handler's return.
func (st *stream) finish() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.work = nil
	if st.ended && !st.begun {
		st.writer.Header().Set("Connection", "close")
		http.Error(st.writer, "draining", http.StatusServiceUnavailable)
		st.begun = true
	}
}

// ---- the handler's side ----

func (st *stream) Header() http.Header { return st.writer.Header() }

func (st *stream) WriteHeader(status int) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.ended {
		return
	}
	st.begun = st.begun || status >= 200
	st.writer.WriteHeader(status)
}

func (st *stream) Write(b []byte) (int, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.ended {
		return 0, ErrDraining
	}
	st.begun = true
	return st.writer.Write(b)
}

// Unwrap is for http.ResponseController: deadlines, full duplex.
func (st *stream) Unwrap() http.ResponseWriter { return st.writer }

// Flush is what makes a stream endless: an answer that ends soon needs none.
func (st *stream) Flush() { _ = st.FlushError() }

// FlushError is for http.ResponseController.
func (st *stream) FlushError() error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.ended {
		return ErrDraining
	}
	st.begun = true
	header := st.writer.Header()
	st.endless = st.endless || header.Get("Content-Length") == "" && st.of.endless[mediaType(header.Get("Content-Type"))]
	st.of.mu.Lock()
	told := st.of.told
	st.of.mu.Unlock()
	if told && st.endless {
		st.cancel(ErrDraining)
	}
	return http.NewResponseController(st.writer).Flush()
}

// stream1 is a stream of HTTP/1, whose connection a handler may take over; stream2 of HTTP/2, which can push.
type stream1 struct{ *stream }
type stream2 struct{ *stream }

func streamOf(st *stream) http.ResponseWriter {
	_, hijacks := st.writer.(http.Hijacker)
	_, pushes := st.writer.(http.Pusher)
	switch {
	case hijacks:
		return stream1{st}
	case pushes:
		return stream2{st}
	}
	return st
}

// Hijack makes the connection the handler's: no stream any more.
func (st stream1) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.ended {
		return nil, nil, ErrDraining
	}
	c, buffered, err := st.writer.(http.Hijacker).Hijack()
	if err == nil {
		st.begun, st.get, st.endless = true, false, false
	}
	return c, buffered, err
}

// ReadFrom keeps sendfile. It holds the answer until all is copied.
func (st stream1) ReadFrom(src io.Reader) (int64, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.ended {
		return 0, ErrDraining
	}
	st.begun = true
	return io.Copy(st.writer, src)
}

func (st stream2) Push(target string, options *http.PushOptions) error {
	return st.writer.(http.Pusher).Push(target, options)
}
