package franz

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	graceshut "github.com/graceshut/graceshut/bindings-go"
	"github.com/twmb/franz-go/pkg/kgo"
)

func open(b *broker, name string, settings Messages) *program {
	if settings.CommitEvery == 0 {
		settings.CommitEvery = 5 * time.Millisecond
	}
	settings.OnError = func(error) {}
	s := newStream(settings)
	return run(b, name, s, s.session)
}

// streams starts a program with Messages: one that stores each record at once, one that hands them to goroutines, or one that collects.
func streams(b *broker, name string, whole bool) *program {
	switch b.below(3) {
	case 0:
		return atOnce(b, name, whole)
	case 1:
		return byOthers(b, name, whole)
	}
	return collected(b, name, whole)
}

// storeOne calls done what is stored. Without success, it is left for its next reader, or ends the loop.
func (b *broker) storeOne(m *Message, whole bool) error {
	if err := b.tryToStore([]*kgo.Record{m.Record}, whole); err != nil {
		if b.below(4) == 0 {
			return err
		}
		return nil
	}
	m.Done()
	return nil
}

func atOnce(b *broker, name string, whole bool) *program {
	return open(b, name, Messages{Handle: func(_ context.Context, m *Message) error { return b.storeOne(m, whole) }})
}

func byOthers(b *broker, name string, whole bool) *program {
	var busy sync.WaitGroup
	return open(b, name, Messages{
		Handle: func(_ context.Context, m *Message) error {
			busy.Add(1)
			go func() {
				defer busy.Done()
				_ = b.storeOne(m, whole)
			}()
			return nil
		},
		Finish: func(context.Context) error {
			if whole || b.below(2) == 0 {
				busy.Wait()
			}
			return nil
		},
	})
}

func collected(b *broker, name string, whole bool) *program {
	var held []*Message
	write := func(context.Context) error {
		var records []*kgo.Record
		for _, m := range held {
			if !m.Gone() {
				records = append(records, m.Record)
			}
		}
		if err := b.tryToStore(records, whole); err != nil {
			return err
		}
		// In any order.
		rand.Shuffle(len(held), func(i, j int) { held[i], held[j] = held[j], held[i] })
		for _, m := range held {
			m.Done()
		}
		held = nil
		return nil
	}
	return open(b, name, Messages{
		Tick: 10 * time.Millisecond, OnTick: func(ctx context.Context) error { _ = write(ctx); return nil }, Finish: write,
		Handle: func(ctx context.Context, m *Message) error {
			held = append(held, m)
			if len(held) >= 7 {
				_ = write(ctx)
			}
			return nil
		},
	})
}

func TestNothingIsCommittedThatWasNotDone(t *testing.T) {
	t.Parallel()
	for seed := int64(0); seed < 15; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { t.Parallel(); life(t, seed, false, streams) })
	}
}

func TestWhereNothingFailsNothingIsHandledTwice(t *testing.T) {
	t.Parallel()
	for seed := int64(0); seed < 15; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { t.Parallel(); life(t, seed, true, streams) })
	}
}

// hand is a Handle that only hands over.
func hand(to chan *Message) func(context.Context, *Message) error {
	return func(_ context.Context, m *Message) error { to <- m; return nil }
}

func (b *broker) committedUpTo(n int64) func() bool {
	return func() bool { b.mu.Lock(); defer b.mu.Unlock(); return b.committed[0] == n }
}

// stored says of a record that it is written, as the broker of the tests wants of what is committed.
func (b *broker) stored(m *Message) *Message {
	b.store([]*kgo.Record{m.Record})
	return m
}

func within(limit time.Duration) (graceshut.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	return graceshut.Context{Context: ctx}, cancel
}

func TestAGapIsNotCommittedPast(t *testing.T) {
	t.Parallel()
	b := newBroker(1, 1)
	came := make(chan *Message, 3)
	p := open(b, "p", Messages{Handle: hand(came)})
	b.produce(3)
	first, second, third := <-came, <-came, <-came
	b.stored(third).Done()
	b.stored(first)
	first.Record = &kgo.Record{Offset: 99} // the program's to change
	first.Done()
	first.Done() // a second time
	until(t, "the first is committed", b.committedUpTo(1))
	b.stored(second).Done()
	until(t, "all are committed", b.committedUpTo(3))
	if outcome := p.stop(10*time.Second, 10*time.Second); outcome != allWell {
		t.Error(outcome)
	}
	for _, words := range b.wrong {
		t.Error(words)
	}
}

// What others call done is committed beside a Handle that is stuck, and the hooks say what is not.
func TestAStuckHandleIsNotCommitted(t *testing.T) {
	t.Parallel()
	b := newBroker(1, 1)
	came, stuck := make(chan *Message, 2), make(chan struct{})
	defer close(stuck)
	var told, finish atomic.Bool
	p := open(b, "p", Messages{
		Finish: func(context.Context) error { finish.Store(true); return nil },
		Handle: func(ctx context.Context, m *Message) error {
			came <- m
			if m.Offset == 1 {
				context.AfterFunc(ctx, func() { told.Store(true) })
				<-stuck
			}
			return nil
		}})
	b.produce(5)
	first, _ := <-came, <-came
	b.stored(first).Done()
	until(t, "the first is committed", b.committedUpTo(1))
	ctx, cancel := within(30 * time.Millisecond)
	defer cancel()
	if err := p.drain(ctx); err != errHandling || told.Load() {
		t.Error(err, told.Load())
	}
	ctx, cancel = within(30 * time.Millisecond)
	defer cancel()
	if err := p.flush(ctx); !errors.Is(err, errHandling) || !strings.Contains(err.Error(), "1 records were handed out and are not done") {
		t.Error(err)
	}
	until(t, "Handle is told", told.Load)
	ctx, cancel = within(10 * time.Second)
	defer cancel()
	if err := p.close(ctx); err != nil || !b.committedUpTo(1)() || len(b.members) != 0 || finish.Load() {
		t.Error(err, b.committed, b.members, finish.Load())
	}
}

// A Handle that heeds its context ends at flush's soft deadline, and what it called done then is committed.
func TestAHandleThatHeedsItsContext(t *testing.T) {
	t.Parallel()
	b := newBroker(1, 1)
	came := make(chan *Message, 1)
	p := open(b, "p", Messages{Handle: func(ctx context.Context, m *Message) error {
		came <- m
		<-ctx.Done()
		b.stored(m).Done()
		return nil
	}})
	b.produce(1)
	<-came
	if outcome := p.stop(30*time.Millisecond, 30*time.Millisecond); outcome != "drain "+errHandling.Error()+"; flush <nil>; close <nil>; " || !b.committedUpTo(1)() {
		t.Error(outcome, b.committed)
	}
}

// Flush waits for what others still have in hand; what becomes done even later is committed by close.
func TestFlushWaitsAndCloseCommits(t *testing.T) {
	t.Parallel()
	b := newBroker(1, 1)
	came := make(chan *Message, 2)
	p := open(b, "p", Messages{Handle: hand(came), CommitEvery: time.Hour})
	b.produce(2)
	first, second := <-came, <-came
	ctx, cancel := within(10 * time.Second)
	defer cancel()
	if err := p.drain(ctx); err != nil {
		t.Error(err)
	}
	time.AfterFunc(20*time.Millisecond, func() { b.stored(first).Done() })
	ctx, cancel = within(300 * time.Millisecond)
	defer cancel()
	if err := p.flush(ctx); err == nil || !strings.Contains(err.Error(), "1 records") || !b.committedUpTo(1)() {
		t.Error(err, b.committed)
	}
	b.stored(second).Done()
	ctx, cancel = within(10 * time.Second)
	defer cancel()
	if err := p.close(ctx); err != nil || !b.committedUpTo(2)() {
		t.Error(err, b.committed)
	}
}

// A Handle that fails while the process stops is the flush hook's error, which waits for nothing then.
func TestAHandleThatFailsInDrain(t *testing.T) {
	t.Parallel()
	b := newBroker(1, 1)
	down, came, goOn := errors.New("the store is down"), make(chan *Message, 1), make(chan struct{})
	p := open(b, "p", Messages{Handle: func(_ context.Context, m *Message) error { came <- m; <-goOn; return down }})
	b.produce(3)
	<-came
	time.AfterFunc(20*time.Millisecond, func() { close(goOn) })
	begun := time.Now()
	outcome := p.stop(20*time.Second, 20*time.Second)
	if !strings.HasPrefix(outcome, "drain <nil>; flush handle of t/0 at offset 0: the store is down; close <nil>") || time.Since(begun) > 10*time.Second {
		t.Error(outcome, time.Since(begun))
	}
	if err := <-p.ended; err != nil || !b.committedUpTo(0)() {
		t.Error(err, b.committed)
	}
}

func TestAFinishThatFailsIsTriedInFlush(t *testing.T) {
	t.Parallel()
	b := newBroker(1, 1)
	came := make(chan *Message, 1)
	var calls int
	p := open(b, "p", Messages{Handle: hand(came), Finish: func(context.Context) error {
		if calls++; calls == 1 {
			return errors.New("the store is down")
		}
		b.stored(<-came).Done()
		return nil
	}})
	b.produce(1)
	until(t, "a record", func() bool { return len(came) == 1 })
	if outcome := p.stop(10*time.Second, 10*time.Second); outcome != allWell || calls != 2 || !b.committedUpTo(1)() {
		t.Error(outcome, calls, b.committed)
	}
}

// The error of a Handle is the program's: what is done is committed, the group is left, and Finish is not called.
func TestAHandleThatFailsEndsTheLoop(t *testing.T) {
	t.Parallel()
	b := newBroker(1, 1)
	down := errors.New("the store is down")
	p := open(b, "p", Messages{
		CommitEvery: time.Hour,
		Finish:      func(context.Context) error { t.Error("Finish"); return nil },
		Handle: func(_ context.Context, m *Message) error {
			if m.Offset == 2 {
				return down
			}
			b.stored(m).Done()
			return nil
		}})
	b.produce(5)
	if err := <-p.ended; !errors.Is(err, down) || !b.committedUpTo(2)() || len(b.members) != 0 {
		t.Error(err, b.committed, b.members)
	}
}

func TestATickWhileNothingComes(t *testing.T) {
	t.Parallel()
	b := newBroker(1, 1)
	var ticks atomic.Int32
	came := make(chan *Message, 1)
	p := open(b, "p", Messages{Handle: hand(came), Tick: 5 * time.Millisecond, OnTick: func(context.Context) error { ticks.Add(1); return nil }})
	until(t, "three ticks", func() bool { return ticks.Load() >= 3 })
	b.produce(1)
	b.stored(<-came).Done()
	if outcome := p.stop(10*time.Second, 10*time.Second); outcome != allWell || !b.committedUpTo(1)() {
		t.Error(outcome, b.committed)
	}
}

// A record of an earlier assignment, called done late, says nothing about the same record in this one.
func TestDoneOfWhatIsGoneChangesNothing(t *testing.T) {
	t.Parallel()
	b := newBroker(1, 1)
	came := make(chan *Message, 2)
	p := open(b, "p", Messages{Handle: hand(came)})
	b.produce(1)
	early := <-came
	b.rebalance(func() {})
	again := <-came
	if !early.Gone() || again.Gone() || early.Offset != again.Offset {
		t.Error(early.Gone(), again.Gone(), early.Offset, again.Offset)
	}
	b.stored(early).Done()
	if outcome := p.stop(10*time.Second, 50*time.Millisecond); outcome == allWell || !b.committedUpTo(0)() {
		t.Error(outcome, b.committed)
	}
}

// A poll that was under way when drain began may bring a record: it comes again elsewhere.
func TestNothingIsHandedOutOnceDrainHasBegun(t *testing.T) {
	t.Parallel()
	s := newStream(Messages{Handle: func(context.Context, *Message) error { t.Error("Handle"); return nil }})
	s.stopPolling()
	s.hand(&kgo.Record{Topic: "t"})
	if s.inHand() != 0 {
		t.Error(s.inHand())
	}
}

// A client that has lost its place begins anew further down, in the same assignment.
func TestACommitIsNotSetBack(t *testing.T) {
	t.Parallel()
	s := newStream(Messages{})
	for _, offset := range []int64{5, 2, 3} {
		s.done(s.take(&kgo.Record{Topic: "t", Offset: offset}))
	}
	if at := s.uncommitted[part{"t", 0}].Offset; at != 5 {
		t.Error(at)
	}
}

func TestBadValuesOfMessages(t *testing.T) {
	handle := func(context.Context, *Message) error { return nil }
	for _, m := range []Messages{
		{}, {Runtime: &graceshut.Runtime{}}, {Runtime: &graceshut.Runtime{}, Handle: handle, CommitEvery: -1},
		{Runtime: &graceshut.Runtime{}, Handle: handle, Tick: time.Second},
	} {
		if err := m.Run(); err == nil || !strings.Contains(err.Error(), "franz.Messages") {
			t.Error(m, err)
		}
	}
	(&Message{Record: &kgo.Record{}}).Done()
}
