package franz

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	graceshut "github.com/graceshut/graceshut/bindings-go"
	"github.com/twmb/franz-go/pkg/kgo"
)

type hooked map[graceshut.Phase]func(graceshut.Context) error

func (h hooked) Hook(phase graceshut.Phase, _ string, f func(graceshut.Context) error, _ ...graceshut.HookOption) (*graceshut.Hook, error) {
	h[phase] = f
	return nil, nil
}

// program is a process with one Batches or Messages.
type program struct {
	work
	m     *member
	ended chan error
}

func run(b *broker, name string, w work, s *session) *program {
	p := &program{work: w, m: b.join(w, s, name), ended: make(chan error, 1)}
	go func() { p.ended <- s.run(w, p.m, hooked{}) }()
	return p
}

func start(b *broker, name string, settings Batches) *program {
	if settings.Size == 0 {
		settings.Size = 10
	}
	if settings.Every == 0 {
		settings.Every = 15 * time.Millisecond
	}
	settings.OnError = func(error) {}
	if settings.Retry == 0 {
		settings.Retry = 10 * time.Millisecond
	}
	l := newLoop(settings)
	return run(b, name, l, l.session)
}

// stop runs the hooks, each within its limit.
func (p *program) stop(drain, flush time.Duration) (outcome string) {
	for _, step := range []struct {
		phase graceshut.Phase
		hook  func(graceshut.Context) error
		limit time.Duration
	}{{graceshut.Drain, p.drain, drain}, {graceshut.Flush, p.flush, flush}, {graceshut.Close, p.close, 10 * time.Second}} {
		ctx, cancel := context.WithTimeout(context.Background(), step.limit)
		outcome += fmt.Sprintf("%s %v; ", step.phase, step.hook(graceshut.Context{Context: ctx}))
		cancel()
	}
	return outcome
}

const allWell = "drain <nil>; flush <nil>; close <nil>; "

func until(t *testing.T, what string, look func() bool) {
	t.Helper()
	for begun := time.Now(); !look(); time.Sleep(time.Millisecond) {
		if time.Since(begun) > 20*time.Second {
			t.Fatalf("still not: %s", what)
		}
	}
}

// batches starts a program with Batches.
func batches(b *broker, name string, whole bool) *program {
	return start(b, name, Batches{Write: func(_ context.Context, records []*kgo.Record) error { return b.tryToStore(records, whole) }})
}

// life starts, stops, kicks and kills programs at random, then lets one come to the end.
func life(t *testing.T, seed int64, whole bool, begin func(b *broker, name string, whole bool) *program) {
	b := newBroker(4, seed)
	dice := rand.New(rand.NewSource(seed*31 + 7))
	live := []*program{begin(b, "p0", whole)}
	var ends sync.WaitGroup
	for step := 1; step < 10; step++ {
		b.produce(dice.Intn(60))
		time.Sleep(time.Duration(dice.Intn(20)) * time.Millisecond)
		i := dice.Intn(len(live))
		chosen := live[i]
		choices := 4
		if whole {
			choices = 2
		}
		switch what := dice.Intn(choices); {
		case what == 0 && len(live) < 3:
			live = append(live, begin(b, fmt.Sprint("p", step), whole))
		case what == 1 && len(live) > 1:
			live = slices.Delete(live, i, i+1)
			drain, flush := 10*time.Second, 10*time.Second
			if !whole {
				drain, flush = time.Duration(dice.Intn(30))*time.Millisecond, time.Duration(dice.Intn(30))*time.Millisecond
			}
			ends.Add(1)
			go func() {
				defer ends.Done()
				if outcome := chosen.stop(drain, flush); whole && outcome != allWell {
					t.Errorf("seed %d: %s", seed, outcome)
				}
			}()
		case what == 2 && len(live) > 1:
			live = slices.Delete(live, i, i+1)
			chosen.m.kill()
		case what == 3:
			chosen.m.kick()
		}
	}
	ends.Wait()
	last, limit := begin(b, "last", true), 10*time.Second
	if !whole {
		limit = 200 * time.Millisecond // some will never be done
	}
	for _, p := range live {
		p.stop(limit, limit)
	}
	until(t, fmt.Sprint("all written, seed ", seed), func() bool { missing, _ := b.count(); return missing == 0 })
	if !whole {
		// What was written and not called done comes again.
		until(t, fmt.Sprint("all committed, seed ", seed), b.allCommitted)
	}
	if outcome := last.stop(10*time.Second, 10*time.Second); outcome != allWell {
		t.Errorf("seed %d: %s", seed, outcome)
	}
	for _, words := range b.wrong {
		t.Errorf("seed %d: %s", seed, words)
	}
	if _, twice := b.count(); whole && twice != 0 {
		t.Errorf("seed %d: %d written twice", seed, twice)
	}
	if !slices.Equal(b.committed, b.ends) {
		t.Errorf("seed %d: committed %v of %v", seed, b.committed, b.ends)
	}
}

func TestNothingIsCommittedThatWasNotWritten(t *testing.T) {
	t.Parallel()
	for seed := int64(0); seed < 25; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { t.Parallel(); life(t, seed, false, batches) })
	}
}

func TestWhereNothingFailsNothingIsWrittenTwice(t *testing.T) {
	t.Parallel()
	for seed := int64(0); seed < 25; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { t.Parallel(); life(t, seed, true, batches) })
	}
}

func TestOrSoManySecondsNeedsNoFurtherRecord(t *testing.T) {
	t.Parallel()
	b := newBroker(1, 1)
	p := start(b, "p", Batches{Size: 500, Write: func(_ context.Context, records []*kgo.Record) error { b.store(records); return nil }})
	b.produce(3)
	until(t, "committed", func() bool { b.mu.Lock(); defer b.mu.Unlock(); return b.committed[0] == 3 })
	if outcome := p.stop(time.Second, time.Second); outcome != allWell {
		t.Error(outcome)
	}
}

// The write under way is told of flush's soft deadline, not of the poll's end; stuck all the same, it is not committed, and the group is
// left.
func TestAStuckWriteIsNotCommitted(t *testing.T) {
	t.Parallel()
	b := newBroker(1, 1)
	var begun, told atomic.Bool
	stuck := make(chan struct{})
	defer close(stuck)
	p := start(b, "p", Batches{Write: func(ctx context.Context, records []*kgo.Record) error {
		begun.Store(true)
		context.AfterFunc(ctx, func() { told.Store(true) })
		<-stuck
		return ctx.Err()
	}})
	b.produce(40)
	until(t, "a write", begun.Load)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	if err := p.drain(graceshut.Context{Context: ctx}); err != errUnderWay || told.Load() {
		t.Error(err, told.Load())
	}
	ctx, cancel = context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	if err := p.flush(graceshut.Context{Context: ctx}); err != errUnderWay {
		t.Error(err)
	}
	until(t, "the write is told", told.Load)
	ctx, cancel = context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := p.close(graceshut.Context{Context: ctx}); err != nil || b.committed[0] != 0 || len(b.members) != 0 {
		t.Error(err, b.committed, b.members)
	}
}

// Without Retry the error of a write is the program's: the group is left, and nothing of that batch is committed.
func TestAWriteThatFailsEndsTheLoop(t *testing.T) {
	t.Parallel()
	b := newBroker(1, 1)
	down := errors.New("the store is down")
	var calls atomic.Int32
	l := newLoop(Batches{Size: 10, Every: time.Millisecond, Write: func(context.Context, []*kgo.Record) error { calls.Add(1); return down }})
	p := run(b, "p", l, l.session)
	b.produce(3)
	if err := <-p.ended; !errors.Is(err, down) || b.committed[0] != 0 || len(b.members) != 0 {
		t.Error(err, b.committed, b.members)
	}
	if n := calls.Load(); n != 1 {
		t.Errorf("%d calls: a write that has failed was tried again while the group was left", n)
	}
}

func TestBadValues(t *testing.T) {
	if err := (Batches{}).Run(); err == nil {
		t.Error("no Runtime, and no error")
	}
	b := Batches{Runtime: &graceshut.Runtime{}, Write: func(context.Context, []*kgo.Record) error { return nil }, Size: -1}
	if err := b.Run(); err == nil {
		t.Error("Size -1, and no error")
	}
}
