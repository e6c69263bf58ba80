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

// program is a process with one Batches.
type program struct {
	*loop
	m     *member
	hooks hooked
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
	p := &program{loop: newLoop(settings), hooks: hooked{}}
	p.m = b.join(p.loop, name)
	p.client = p.m
	for phase, f := range map[graceshut.Phase]func(graceshut.Context) error{graceshut.Drain: p.drain, graceshut.Flush: p.flush, graceshut.Close: p.close} {
		p.hooks[phase] = f
	}
	go p.poll()
	return p
}

// stop runs the hooks, each within its limit.
func (p *program) stop(drain, flush time.Duration) (outcome string) {
	for _, step := range []struct {
		phase graceshut.Phase
		limit time.Duration
	}{{graceshut.Drain, drain}, {graceshut.Flush, flush}, {graceshut.Close, 10 * time.Second}} {
		ctx, cancel := context.WithTimeout(context.Background(), step.limit)
		outcome += fmt.Sprintf("%s %v; ", step.phase, p.hooks[step.phase](graceshut.Context{Context: ctx}))
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

// life starts, stops, kicks and kills programs at random, then lets one come to the end.
func life(t *testing.T, seed int64, whole bool) {
	b := newBroker(4, seed)
	dice := rand.New(rand.NewSource(seed*31 + 7))
	write := func(_ context.Context, records []*kgo.Record) error {
		time.Sleep(time.Duration(b.below(8)) * time.Millisecond)
		if !whole {
			switch b.below(10) {
			case 0:
				return errors.New("the store is down")
			case 1:
				b.store(records)
				return errors.New("written, but the answer was lost")
			case 2:
				time.Sleep(50 * time.Millisecond)
			}
		}
		b.store(records)
		return nil
	}
	live := []*program{start(b, "p0", Batches{Write: write})}
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
			live = append(live, start(b, fmt.Sprint("p", step), Batches{Write: write}))
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
	last := start(b, "last", Batches{Write: func(_ context.Context, records []*kgo.Record) error { b.store(records); return nil }})
	for _, p := range live {
		p.stop(10*time.Second, 10*time.Second)
	}
	until(t, fmt.Sprint("all written, seed ", seed), func() bool { missing, _ := b.count(); return missing == 0 })
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
		t.Run(fmt.Sprint(seed), func(t *testing.T) { t.Parallel(); life(t, seed, false) })
	}
}

func TestWhereNothingFailsNothingIsWrittenTwice(t *testing.T) {
	t.Parallel()
	for seed := int64(0); seed < 25; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { t.Parallel(); life(t, seed, true) })
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
	l := newLoop(Batches{Size: 10, Every: time.Millisecond, Write: func(context.Context, []*kgo.Record) error { return down }})
	m := b.join(l, "p")
	ended := make(chan error, 1)
	go func() { ended <- l.run(m, hooked{}) }()
	b.produce(3)
	if err := <-ended; !errors.Is(err, down) || b.committed[0] != 0 || len(b.members) != 0 {
		t.Error(err, b.committed, b.members)
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
