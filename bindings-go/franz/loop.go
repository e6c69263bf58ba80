package franz

import (
	"context"
	"errors"
	"fmt"
	"time"

	graceshut "github.com/graceshut/graceshut/bindings-go"
	"github.com/twmb/franz-go/pkg/kgo"
)

var (
	errUnderWay = errors.New("a write is still under way")
	errWrite    = errors.New("write")
)

// loop is a Batches at work.
type loop struct {
	*session
	write func(context.Context, []*kgo.Record) error
	size  int
	every time.Duration
	retry time.Duration // 0: a write that fails ends the loop

	// Under mu.
	buffer    []*kgo.Record
	since     time.Time    // when the first of the buffer came
	notBefore time.Time    // after a write that failed: when to try again
	epochs    map[part]int // how often a partition went away
}

// ---- taking ----

func (l *loop) poll() {
	defer close(l.idle)
	defer l.lastWrite()
	for l.polls.Err() == nil {
		if room := l.room(); room > 0 {
			l.take(room)
		} else {
			l.pause(min(tick, l.every)) // with a full buffer
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
	l.session.settle(err, errors.Is(err, errWrite) && l.retry == 0)
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
	records := l.fetch(room, min(tick, l.every))
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.buffer) == 0 {
		l.since = time.Now()
	}
	l.buffer = append(l.buffer, records...)
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

// ---- the group ----

// revoked is called by the client before partitions go to others, and by close. While the process drains nothing new is begun: what is
// not written is left to the next reader.
func (l *loop) revoked(gone map[string][]int32) {
	if l.lock(l.leaving) {
		defer l.unlock()
		if !l.isLeaving() {
			var err error
			if l.isDraining() {
				err = l.commit()
			} else {
				err = l.writeAll()
			}
			l.settle(err)
		}
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

// ---- the hooks ----

func (l *loop) drain(ctx graceshut.Context) error { return l.waitForLoop(ctx, errUnderWay) }

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
