package franz

import (
	"context"
	"errors"
	"fmt"
	"time"

	graceshut "github.com/graceshut/graceshut/bindings-go"
	"github.com/twmb/franz-go/pkg/kgo"
)

// How long flush goes on after its soft deadline: a call that heeds its context ends then, and says how. Then as long for the commit.
const lastWords = 50 * time.Millisecond

var (
	errHandling = errors.New("a call of Handle, OnTick or Finish is still under way")
	errCommit   = errors.New("what is done could not be committed in time; it comes again")
)

type state int

const (
	inHand state = iota
	isDone
	abandoned // its Handle failed while the process stops: it is not waited for
)

// line is one partition, from the first record handed out in an assignment to its end.
type line struct {
	part    part
	open    []*Message // in order, from the first that is not done
	reached int64      // the highest offset before which all is done
	gone    bool
}

// stream is a Messages at work.
type stream struct {
	*session
	Messages
	moved chan struct{} // something is done or gone; flush listens

	// Under mu.
	lines      map[part]*line
	held       int   // how many are in hand, of partitions that are this member's
	late       error // of Handle or OnTick, while the process stops
	finished   bool  // the loop has come to its end, and so has its Finish
	unfinished bool  // that one failed
}

func newStream(m Messages) *stream {
	if m.CommitEvery == 0 {
		m.CommitEvery = time.Second
	}
	return &stream{session: newSession(m.Name, m.OnError), Messages: m, lines: map[part]*line{}, moved: make(chan struct{}, 1)}
}

// ---- handing out ----

func (s *stream) poll() {
	go s.commitRegularly()
	defer close(s.idle)
	defer s.last()
	quiet := time.Now()
	for s.polls.Err() == nil {
		// One at a time: what the client holds behind it is still the group's when a rebalance comes.
		records := s.fetch(1, s.patience(quiet))
		for _, r := range records {
			s.hand(r)
		}
		if len(records) > 0 {
			quiet = time.Now()
		} else if s.Tick > 0 && time.Since(quiet) >= s.Tick {
			s.tickOnce()
			quiet = time.Now()
		}
		s.client.AllowRebalance()
	}
}

// patience is how long a poll may wait.
func (s *stream) patience(quiet time.Time) time.Duration {
	if s.Tick == 0 {
		return tick
	}
	return max(min(tick, s.Tick-time.Since(quiet)), time.Millisecond)
}

func (s *stream) hand(r *kgo.Record) {
	s.lock(nil)
	defer s.unlock()
	if s.polls.Err() != nil {
		return // not handed out, and so it comes again
	}
	m := s.take(r)
	if err := s.Handle(s.writes, m); err != nil {
		s.trouble(fmt.Errorf("handle of %s/%d at offset %d: %w", m.line.part.topic, m.line.part.partition, m.offset, err), m)
	}
}

func (s *stream) tickOnce() {
	s.lock(nil)
	defer s.unlock()
	if s.polls.Err() != nil {
		return
	}
	if err := s.OnTick(s.writes); err != nil {
		s.trouble(fmt.Errorf("tick: %w", err), nil)
	}
}

// trouble is an error of the program: it ends the loop; while the process stops, flush reports it.
func (s *stream) trouble(err error, m *Message) {
	s.mu.Lock()
	if s.draining {
		s.late = errors.Join(s.late, err)
		if m != nil && m.state == inHand && !m.line.gone {
			m.state = abandoned
			s.held--
		}
	}
	s.mu.Unlock()
	s.settle(err, true)
}

// last is the end of the loop.
func (s *stream) last() {
	s.mu.Lock()
	failed := s.failed != nil
	s.mu.Unlock()
	if !failed && s.lock(s.leaving) {
		if !s.isLeaving() {
			s.settle(s.lastFinish(), false)
		}
		s.unlock()
	}
	s.settle(s.commit(), false)
	s.client.AllowRebalance()
}

// lastFinish is Finish after the last record was handed out, until it succeeds. Under lock.
func (s *stream) lastFinish() error {
	s.mu.Lock()
	over := s.finished && !s.unfinished
	s.mu.Unlock()
	if over {
		return nil
	}
	err := s.callFinish()
	s.mu.Lock()
	s.finished, s.unfinished = true, err != nil
	s.mu.Unlock()
	return err
}

func (s *stream) callFinish() error {
	if s.Finish == nil {
		return nil
	}
	if err := s.Finish(s.writes); err != nil {
		return fmt.Errorf("finish: %w", err)
	}
	return nil
}

// commitRegularly goes on while a Handle is under way, or stuck: others may be done.
func (s *stream) commitRegularly() {
	every := time.NewTicker(s.CommitEvery)
	defer every.Stop()
	for {
		select {
		case <-every.C:
			s.settle(s.commit(), false)
		case <-s.idle:
			return
		case <-s.leaving:
			return
		}
	}
}

// ---- what is done ----

func (s *stream) take(r *kgo.Record) *Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lines[partOf(r)]
	if l == nil {
		l = &line{part: partOf(r), reached: -1}
		s.lines[l.part] = l
	}
	m := &Message{Record: r, stream: s, line: l, offset: r.Offset, epoch: r.LeaderEpoch}
	l.open = append(l.open, m)
	s.held++
	return m
}

func (s *stream) done(m *Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := m.line
	if m.state == isDone || l.gone {
		return
	}
	if m.state == inHand {
		s.held--
	}
	m.state = isDone
	n := 0
	for n < len(l.open) && l.open[n].state == isDone {
		// Not below what was reached: a client that has lost its place may begin anew further down.
		if last := l.open[n]; last.offset > l.reached {
			l.reached = last.offset
			s.uncommitted[l.part] = &kgo.Record{Topic: l.part.topic, Partition: l.part.partition, Offset: last.offset, LeaderEpoch: last.epoch}
		}
		n++
	}
	clear(l.open[:n])
	l.open = l.open[n:]
	s.tellMoved()
}

func (s *stream) tellMoved() {
	select {
	case s.moved <- struct{}{}:
	default:
	}
}

func (s *stream) inHand() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held
}

// ---- the group ----

// revoked is called by the client before partitions go to others, and by close. What the program holds is finished, until the loop's own
// Finish has seen to that.
func (s *stream) revoked(gone map[string][]int32) {
	if s.lock(s.leaving) {
		defer s.unlock()
		if !s.isLeaving() {
			s.mu.Lock()
			finished := s.finished
			s.mu.Unlock()
			if !finished && len(gone) > 0 {
				s.settle(s.callFinish(), false)
			}
			s.settle(s.commit(), false)
		}
	}
	s.lost(gone)
}

// lost is called by the client when partitions are others' already.
func (s *stream) lost(gone map[string][]int32) {
	s.committing.Lock()
	defer s.committing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	for topic, partitions := range gone {
		for _, partition := range partitions {
			p := part{topic, partition}
			delete(s.uncommitted, p)
			l := s.lines[p]
			if l == nil {
				continue
			}
			for _, m := range l.open {
				if m.state == inHand {
					s.held--
				}
			}
			l.gone = true
			delete(s.lines, p)
		}
	}
	s.tellMoved()
}

// ---- the hooks ----

func (s *stream) drain(ctx graceshut.Context) error { return s.waitForLoop(ctx, errHandling) }

func (s *stream) flush(ctx graceshut.Context) error {
	over, end := context.WithCancel(context.Background())
	context.AfterFunc(ctx, func() {
		s.cancelWrites(context.Cause(ctx))
		time.AfterFunc(lastWords, end)
	})
	ended := make(chan error, 1)
	go func() { ended <- s.finishAll(over.Done()) }()
	select {
	case err := <-ended:
		return err
	case <-over.Done():
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(lastWords):
		return errors.Join(s.undone(), errCommit)
	}
}

// finishAll waits until all that was handed out is done, or `over` comes, and commits what is.
func (s *stream) finishAll(over <-chan struct{}) error {
	_ = s.commit() // in case the rest takes long; what fails here is tried again below
	failed := errHandling
	if s.lock(over) {
		failed = s.lastFinish()
		s.unlock()
	}
	every := time.NewTicker(s.CommitEvery)
	defer every.Stop()
	for waiting := true; waiting && s.inHand() > 0; {
		select {
		case <-s.moved:
		case <-every.C:
			_ = s.commit()
		case <-over:
			waiting = false
		}
	}
	s.mu.Lock()
	late := s.late
	s.mu.Unlock()
	return errors.Join(late, failed, s.undone(), s.commit())
}

func (s *stream) undone() error {
	if n := s.inHand(); n > 0 {
		return fmt.Errorf("%d records were handed out and are not done; they are not committed and come again", n)
	}
	return nil
}

// close commits what became done since flush, for which it has half of its time, and leaves the group.
func (s *stream) close(ctx graceshut.Context) error {
	limit := commitLimit
	if until, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(until)/2)
	}
	committed := make(chan error, 1)
	go func() { committed <- s.commit() }()
	var failed error
	select {
	case failed = <-committed:
	case <-time.After(limit):
		failed = errCommit
	}
	return errors.Join(failed, s.session.close(ctx))
}
