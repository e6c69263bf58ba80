package franz

import (
	"context"
	"errors"
	"fmt"
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

// How long a poll waits, so that "or Every" needs no further record, and a commit.
const (
	tick        = 200 * time.Millisecond
	commitLimit = 5 * time.Second
)

var (
	errUnderWay = errors.New("a write is still under way")
	errWrite    = errors.New("write")
)

type part struct {
	topic     string
	partition int32
}

func partOf(r *kgo.Record) part { return part{r.Topic, r.Partition} }

// loop is a Batches at work. Whoever writes or commits has the place in `writing`; it is never waited for without a way out, as a write
// may be stuck for longer than the process lives.
type loop struct {
	write  func(context.Context, []*kgo.Record) error
	size   int
	every  time.Duration
	retry  time.Duration // 0: a write that fails ends the loop
	name   string
	tell   func(error)
	client consumer

	writing    chan struct{} // a lock
	committing sync.Mutex    // for commitLimit at most: no commit of a partition is on its way when that is lost

	mu          sync.Mutex
	buffer      []*kgo.Record
	since       time.Time // when the first of the buffer came
	notBefore   time.Time // after a write that failed: when to try again
	draining    bool
	failed      error                // what ended the loop, when it was not the shutdown
	epochs      map[part]int         // how often a partition went away
	uncommitted map[part]*kgo.Record // the last one written of each partition, until it is committed

	polls        context.Context // ends with drain
	stopPolling  context.CancelFunc
	writes       context.Context // ends at the soft deadline of flush
	cancelWrites context.CancelCauseFunc

	leaveOnce sync.Once

	idle    chan struct{} // the poll loop has ended
	leaving chan struct{} // the group is being left: wait for nothing any more
	left    chan struct{} // the group is left
}

// ---- taking ----

func (l *loop) poll() {
	defer close(l.idle)
	defer l.lastWrite()
	for l.polls.Err() == nil {
		if room := l.room(); room > 0 {
			l.take(room)
		} else {
			l.pause()
		}
		if l.due() {
			l.lock(nil)
			l.settle(l.writeAll())
			l.unlock()
		}
		l.client.AllowRebalance()
	}
}

// settle is what becomes of an error while no hook takes it.
func (l *loop) settle(err error) {
	if err == nil {
		return
	}
	l.mu.Lock()
	ends := errors.Is(err, errWrite) && l.retry == 0 && !l.draining
	if ends && l.failed == nil {
		l.failed = err
	}
	l.mu.Unlock()
	if ends {
		l.stopPolling()
		return
	}
	l.tell(err)
}

// lastWrite is the loop's own try when the shutdown has ended it; where it fails, flush has another.
func (l *loop) lastWrite() {
	l.mu.Lock()
	due := l.failed == nil && len(l.buffer) > 0
	l.mu.Unlock()
	if due && l.lock(l.leaving) {
		l.settle(l.writeAll())
		l.unlock()
	}
	l.client.AllowRebalance()
}

func (l *loop) take(room int) {
	ctx, cancel := context.WithTimeout(l.polls, min(tick, l.every))
	defer cancel()
	fetches := l.client.PollRecords(ctx, room)
	fetches.EachError(func(topic string, partition int32, err error) {
		if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
			l.tell(fmt.Errorf("fetch of %s/%d: %w", topic, partition, err))
		}
	})
	if fetches.IsClientClosed() {
		l.pause()
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.buffer) == 0 {
		l.since = time.Now()
	}
	l.buffer = append(l.buffer, fetches.Records()...)
}

// pause waits with a full buffer, without keeping the group from rebalancing.
func (l *loop) pause() {
	l.client.AllowRebalance()
	select {
	case <-l.polls.Done():
	case <-time.After(min(tick, l.every)):
	}
}

func (l *loop) room() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.size - len(l.buffer)
}

func (l *loop) due() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.draining || time.Now().Before(l.notBefore) {
		return false
	}
	if len(l.buffer) == 0 {
		return len(l.uncommitted) > 0
	}
	return len(l.buffer) >= l.size || time.Since(l.since) >= l.every
}

// ---- writing ----

// lock takes the place of the one who writes; false when `give` came first (nil: never).
func (l *loop) lock(give <-chan struct{}) bool {
	select {
	case l.writing <- struct{}{}:
		return true
	default:
	}
	select {
	case l.writing <- struct{}{}:
		return true
	case <-give:
		return false
	}
}

func (l *loop) unlock() { <-l.writing }

// writeAll writes what there is and commits it. Under lock.
func (l *loop) writeAll() error {
	l.mu.Lock()
	records := l.buffer
	l.buffer = nil
	before := make(map[part]int)
	for _, r := range records {
		before[partOf(r)] = l.epochs[partOf(r)]
	}
	l.mu.Unlock()
	var failed error
	if len(records) > 0 {
		if failed = l.attempt(records); failed != nil {
			failed = fmt.Errorf("%w of %d records: %w", errWrite, len(records), failed)
		}
	}
	l.mu.Lock()
	// Of partitions that went away meanwhile, another member knows more.
	ours := records[:0:0]
	for _, r := range records {
		if l.epochs[partOf(r)] == before[partOf(r)] {
			ours = append(ours, r)
		}
	}
	if failed != nil {
		l.buffer = append(ours, l.buffer...)
		l.notBefore = time.Now().Add(l.retry)
	} else {
		for _, r := range ours {
			l.uncommitted[partOf(r)] = r
		}
	}
	l.mu.Unlock()
	return errors.Join(failed, l.commit())
}

// attempt is one call of the program; its panic is the process's affair.
func (l *loop) attempt(records []*kgo.Record) error {
	given := make([]*kgo.Record, len(records))
	copy(given, records) // the program may sort it
	return l.write(l.writes, given)
}

// commit commits what is written. Under lock. What cannot be committed now goes with the next commit.
func (l *loop) commit() error {
	l.committing.Lock()
	defer l.committing.Unlock()
	l.mu.Lock()
	var last []*kgo.Record
	for _, r := range l.uncommitted {
		last = append(last, r)
	}
	l.mu.Unlock()
	if len(last) == 0 {
		return nil
	}
	select {
	case <-l.leaving:
		return nil
	default:
	}
	ctx, cancel := context.WithTimeout(context.Background(), commitLimit)
	defer cancel()
	if err := l.client.CommitRecords(ctx, last...); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range last {
		if l.uncommitted[partOf(r)] == r {
			delete(l.uncommitted, partOf(r))
		}
	}
	return nil
}

// ---- the group ----

// revoked is called by the client before partitions go to others, and by close. While the process drains nothing new is begun: what is
// not written is left to the next reader.
func (l *loop) revoked(gone map[string][]int32) {
	if l.lock(l.leaving) {
		var err error
		if l.isDraining() {
			err = l.commit()
		} else {
			err = l.writeAll()
		}
		l.settle(err)
		l.lost(gone)
		l.unlock()
		return
	}
	l.lost(gone)
}

// lost is called by the client when partitions are others' already.
func (l *loop) lost(gone map[string][]int32) {
	l.committing.Lock()
	defer l.committing.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	away := make(map[part]bool)
	for topic, partitions := range gone {
		for _, partition := range partitions {
			p := part{topic, partition}
			away[p] = true
			l.epochs[p]++
			delete(l.uncommitted, p)
		}
	}
	kept := l.buffer[:0:0]
	for _, r := range l.buffer {
		if !away[partOf(r)] {
			kept = append(kept, r)
		}
	}
	l.buffer = kept
}

func (l *loop) isDraining() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.draining
}

// ---- the hooks ----

func (l *loop) drain(ctx graceshut.Context) error {
	l.mu.Lock()
	l.draining = true
	l.mu.Unlock()
	l.stopPolling()
	select {
	case <-l.idle:
		return nil
	case <-ctx.Done():
		return errUnderWay
	}
}

func (l *loop) flush(ctx graceshut.Context) error {
	done := make(chan error, 1)
	go func() {
		if !l.lock(ctx.Done()) {
			done <- errUnderWay
			return
		}
		defer l.unlock()
		done <- l.writeAll()
	}()
	select {
	case err := <-done:
		if ctx.Err() != nil {
			l.cancelWrites(context.Cause(ctx)) // the loop's write, which this one waited for
		}
		return err
	case <-ctx.Done():
	}
	l.cancelWrites(context.Cause(ctx))
	// A write that heeds its context ends now, and says how.
	select {
	case err := <-done:
		return err
	case <-time.After(100 * time.Millisecond):
		return errUnderWay
	}
}

// leave leaves the group, once.
func (l *loop) leave() {
	l.leaveOnce.Do(func() {
		close(l.leaving)
		go func() {
			defer close(l.left)
			l.client.CloseAllowingRebalance()
		}()
	})
}

func (l *loop) close(ctx graceshut.Context) error {
	l.leave()
	select {
	case <-l.left:
		return nil
	case <-ctx.Done():
		return errors.New("the broker has not answered that the consumer leaves its group")
	}
}
