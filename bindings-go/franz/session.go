package franz

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	graceshut "github.com/graceshut/graceshut/bindings-go"
	"github.com/twmb/franz-go/pkg/kgo"
)

// consumer is the part of kgo.Client that is needed here; the tests have one of their own.
type consumer interface {
	PollRecords(ctx context.Context, most int) kgo.Fetches
	CommitRecords(ctx context.Context, records ...*kgo.Record) error
	AllowRebalance()
	CloseAllowingRebalance()
}

// How long a poll waits, so that what is due needs no further record, and a commit.
const (
	tick        = 200 * time.Millisecond
	commitLimit = 5 * time.Second
)

type part struct {
	topic     string
	partition int32
}

func partOf(r *kgo.Record) part { return part{r.Topic, r.Partition} }

// session is what Batches and Messages have in common: a member of the group, from its client to its leaving. The program's code is called
// under the place in `writing`, which is never waited for without a way out, as such a call may be stuck for longer than the process lives.
type session struct {
	name   string
	tell   func(error)
	client consumer

	writing    chan struct{} // a lock
	committing sync.Mutex    // for commitLimit at most: no commit of a partition is on its way when that is lost

	mu          sync.Mutex
	draining    bool
	failed      error                // what ended the loop, when it was not the shutdown
	uncommitted map[part]*kgo.Record // of each partition the last one before which all is done, until it is committed

	polls        context.Context // ends with drain
	stopPolling  context.CancelFunc
	writes       context.Context // ends at the soft deadline of flush
	cancelWrites context.CancelCauseFunc

	leaveOnce sync.Once

	idle    chan struct{} // the poll loop has ended
	leaving chan struct{} // the group is being left: wait for nothing any more
	left    chan struct{} // the group is left
}

func newSession(name string, tell func(error)) *session {
	s := &session{
		name: name, tell: tell, uncommitted: map[part]*kgo.Record{}, writing: make(chan struct{}, 1),
		idle: make(chan struct{}), leaving: make(chan struct{}), left: make(chan struct{}),
	}
	if s.name == "" {
		s.name = "kafka"
	}
	if s.tell == nil {
		s.tell = func(err error) { slog.Error("graceshut: kafka", "error", err) }
	}
	s.polls, s.stopPolling = context.WithCancel(context.Background())
	s.writes, s.cancelWrites = context.WithCancelCause(context.Background())
	return s
}

// work is what the two do differently.
type work interface {
	poll()
	revoked(gone map[string][]int32)
	lost(gone map[string][]int32)
	drain(ctx graceshut.Context) error
	flush(ctx graceshut.Context) error
	close(ctx graceshut.Context) error
}

func clientOf(w work, options []kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append(append([]kgo.Opt{}, options...),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, gone map[string][]int32) { w.revoked(gone) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, gone map[string][]int32) { w.lost(gone) }),
	)...)
}

// registrar is the part of graceshut.Runtime that is needed here.
type registrar interface {
	Hook(phase graceshut.Phase, name string, f func(ctx graceshut.Context) error, options ...graceshut.HookOption) (*graceshut.Hook, error)
}

func (s *session) run(w work, client consumer, gs registrar) error {
	s.client = client
	var hooks []*graceshut.Hook
	for _, hook := range []struct {
		phase graceshut.Phase
		f     func(ctx graceshut.Context) error
	}{{graceshut.Drain, w.drain}, {graceshut.Flush, w.flush}, {graceshut.Close, w.close}} {
		handle, err := gs.Hook(hook.phase, s.name, hook.f)
		if err != nil {
			remove(hooks)
			client.CloseAllowingRebalance()
			return err
		}
		hooks = append(hooks, handle)
	}
	w.poll()
	s.mu.Lock()
	failed := s.failed
	s.mu.Unlock()
	if failed != nil {
		// Nothing is left for the hooks to do.
		remove(hooks)
		s.leave()
	}
	<-s.left
	return failed
}

func remove(hooks []*graceshut.Hook) {
	for _, hook := range hooks {
		if hook != nil {
			_, _ = hook.Remove() // running or done: then the shutdown sees to it
		}
	}
}

// settle is what becomes of an error while no hook takes it; with `ends` it is the program's, and ends the loop.
func (s *session) settle(err error, ends bool) {
	if err == nil {
		return
	}
	s.mu.Lock()
	ends = ends && !s.draining
	if ends && s.failed == nil {
		s.failed = err
	}
	s.mu.Unlock()
	if ends {
		s.stopPolling()
		return
	}
	s.tell(err)
}

// fetch is one poll of at most so many records.
func (s *session) fetch(most int, limit time.Duration) []*kgo.Record {
	ctx, cancel := context.WithTimeout(s.polls, limit)
	defer cancel()
	fetches := s.client.PollRecords(ctx, most)
	fetches.EachError(func(topic string, partition int32, err error) {
		if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
			s.tell(fmt.Errorf("fetch of %s/%d: %w", topic, partition, err))
		}
	})
	if fetches.IsClientClosed() {
		s.pause(limit)
		return nil
	}
	return fetches.Records()
}

// pause waits without keeping the group from rebalancing.
func (s *session) pause(limit time.Duration) {
	s.client.AllowRebalance()
	select {
	case <-s.polls.Done():
	case <-time.After(limit):
	}
}

// lock takes the place of the one who writes; false when `give` came first (nil: never).
func (s *session) lock(give <-chan struct{}) bool {
	select {
	case s.writing <- struct{}{}:
		return true
	default:
	}
	select {
	case s.writing <- struct{}{}:
		return true
	case <-give:
		return false
	}
}

func (s *session) unlock() { <-s.writing }

// commit commits what is done. What cannot be committed now goes with the next commit.
func (s *session) commit() error {
	s.committing.Lock()
	defer s.committing.Unlock()
	s.mu.Lock()
	var last []*kgo.Record
	for _, r := range s.uncommitted {
		last = append(last, r)
	}
	s.mu.Unlock()
	if len(last) == 0 {
		return nil
	}
	if s.isLeaving() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), commitLimit)
	defer cancel()
	if err := s.client.CommitRecords(ctx, last...); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range last {
		if s.uncommitted[partOf(r)] == r {
			delete(s.uncommitted, partOf(r))
		}
	}
	return nil
}

func (s *session) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

func (s *session) isLeaving() bool {
	select {
	case <-s.leaving:
		return true
	default:
		return false
	}
}

// waitForLoop is drain: nothing more is taken, and the loop ends.
func (s *session) waitForLoop(ctx graceshut.Context, underWay error) error {
	s.mu.Lock()
	s.draining = true
	s.mu.Unlock()
	s.stopPolling()
	select {
	case <-s.idle:
		return nil
	case <-ctx.Done():
		return underWay
	}
}

// leave leaves the group, once.
func (s *session) leave() {
	s.leaveOnce.Do(func() {
		close(s.leaving)
		go func() {
			defer close(s.left)
			s.client.CloseAllowingRebalance()
		}()
	})
}

func (s *session) close(ctx graceshut.Context) error {
	s.leave()
	select {
	case <-s.left:
		return nil
	case <-ctx.Done():
		return errors.New("the broker has not answered that the consumer leaves its group")
	}
}
