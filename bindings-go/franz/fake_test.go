package franz

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// broker is one topic and one group, in memory: who has which partition, what is committed, and what the store has of it.
type broker struct {
	mu        sync.Mutex
	ends      []int64
	committed []int64
	written   []map[int64]int
	owner     []*member
	members   []*member
	wrong     []string
	dice      *rand.Rand

	balancing sync.Mutex // one rebalance at a time
}

func newBroker(partitions int, seed int64) *broker {
	b := &broker{dice: rand.New(rand.NewSource(seed)), ends: make([]int64, partitions), committed: make([]int64, partitions), owner: make([]*member, partitions)}
	for range b.ends {
		b.written = append(b.written, map[int64]int{})
	}
	return b
}

func (b *broker) below(n int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.dice.Intn(n)
}

func (b *broker) produce(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for ; n > 0; n-- {
		b.ends[b.dice.Intn(len(b.ends))]++
	}
}

// store is what Write fills.
func (b *broker) store(records []*kgo.Record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range records {
		b.written[r.Partition][r.Offset]++
	}
}

// tryToStore is a Write that takes its time, and unless it is `whole` may fail.
func (b *broker) tryToStore(records []*kgo.Record, whole bool) error {
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

func (b *broker) count() (missing, twice int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for p, end := range b.ends {
		missing += int(end) - len(b.written[p])
		for _, n := range b.written[p] {
			twice += n - 1
		}
	}
	return missing, twice
}

func (b *broker) allCommitted() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Equal(b.committed, b.ends)
}

// rebalance takes everything away, as the eager protocol does, and shares it out anew.
func (b *broker) rebalance(change func()) {
	b.balancing.Lock()
	defer b.balancing.Unlock()
	b.mu.Lock()
	before := append([]*member{}, b.members...)
	b.mu.Unlock()
	for _, m := range before {
		m.giveBack()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
	for p := range b.owner {
		b.owner[p] = nil
		if len(b.members) > 0 {
			b.owner[p] = b.members[b.dice.Intn(len(b.members))]
		}
	}
	for _, m := range b.members {
		m.position = map[int]int64{}
		m.rebalancing = false
		m.wake.Broadcast()
	}
}

// member is one client in the group.
type member struct {
	b        *broker
	loop     work
	halt     func()
	name     string
	position map[int]int64
	wake     *sync.Cond // over b.mu

	polled, rebalancing, dead bool

	session, valid int // as whom it commits, and as whom the group takes commits
}

func (b *broker) join(l work, s *session, name string) *member {
	m := &member{b: b, loop: l, halt: s.stopPolling, name: name, wake: sync.NewCond(&b.mu), rebalancing: true}
	b.rebalance(func() { b.members = append(b.members, m) })
	return m
}

func (b *broker) without(gone *member) {
	kept := b.members[:0:0]
	for _, m := range b.members {
		if m != gone {
			kept = append(kept, m)
		}
	}
	b.members = kept
}

func (m *member) parts() map[string][]int32 {
	mine := map[string][]int32{}
	for p, owner := range m.b.owner {
		if owner == m {
			mine["t"] = append(mine["t"], int32(p))
		}
	}
	return mine
}

// giveBack is the client's side of a rebalance: it waits for AllowRebalance, then calls back.
func (m *member) giveBack() {
	m.b.mu.Lock()
	m.rebalancing = true
	for m.polled && !m.dead {
		m.wake.Wait()
	}
	mine, dead := m.parts(), m.dead
	m.b.mu.Unlock()
	if !dead {
		m.loop.revoked(mine)
	}
}

func (m *member) PollRecords(ctx context.Context, most int) kgo.Fetches {
	stop := context.AfterFunc(ctx, func() {
		m.b.mu.Lock()
		defer m.b.mu.Unlock()
		m.wake.Broadcast()
	})
	defer stop()
	for {
		if fetches, ok := m.fetch(ctx, most); ok {
			return fetches
		}
		time.Sleep(time.Millisecond)
	}
}

func (m *member) fetch(ctx context.Context, most int) (kgo.Fetches, bool) {
	m.b.mu.Lock()
	defer m.b.mu.Unlock()
	for m.rebalancing && ctx.Err() == nil {
		m.wake.Wait()
	}
	if ctx.Err() != nil || m.dead {
		m.polled = true
		return kgo.NewErrFetch(context.DeadlineExceeded), true
	}
	var records []*kgo.Record
	for p, owner := range m.b.owner {
		if owner != m {
			continue
		}
		at, known := m.position[p]
		if !known {
			at = m.b.committed[p]
		}
		for ; at < m.b.ends[p] && len(records) < most; at++ {
			records = append(records, &kgo.Record{Topic: "t", Partition: int32(p), Offset: at})
		}
		m.position[p] = at
	}
	if records == nil {
		return nil, false
	}
	m.polled = true
	parts := map[int32]*kgo.FetchPartition{}
	topic := kgo.FetchTopic{Topic: "t"}
	for _, r := range records {
		if parts[r.Partition] == nil {
			parts[r.Partition] = &kgo.FetchPartition{Partition: r.Partition}
		}
		parts[r.Partition].Records = append(parts[r.Partition].Records, r)
	}
	for _, fetched := range parts {
		topic.Partitions = append(topic.Partitions, *fetched)
	}
	return kgo.Fetches{{Topics: []kgo.FetchTopic{topic}}}, true
}

func (m *member) AllowRebalance() {
	m.b.mu.Lock()
	defer m.b.mu.Unlock()
	m.polled = false
	m.wake.Broadcast()
}

func (m *member) CommitRecords(ctx context.Context, records ...*kgo.Record) error {
	m.b.mu.Lock()
	as := m.session
	m.b.mu.Unlock()
	time.Sleep(time.Duration(m.b.below(3)) * time.Millisecond)
	m.b.mu.Lock()
	defer m.b.mu.Unlock()
	if m.dead || as != m.valid {
		return kerr.UnknownMemberID
	}
	for _, r := range records {
		if m.b.owner[r.Partition] != m {
			m.b.wrong = append(m.b.wrong, fmt.Sprintf("%s committed partition %d, which is not its own", m.name, r.Partition))
		}
		to := r.Offset + 1
		if to < m.b.committed[r.Partition] {
			m.b.wrong = append(m.b.wrong, fmt.Sprintf("%s set partition %d back from %d to %d", m.name, r.Partition, m.b.committed[r.Partition], to))
		}
		for o := int64(0); o < to; o++ {
			if m.b.written[r.Partition][o] == 0 {
				m.b.wrong = append(m.b.wrong, fmt.Sprintf("%s committed %d of partition %d, but %d was never written", m.name, to, r.Partition, o))
				break
			}
		}
		m.b.committed[r.Partition] = to
	}
	return nil
}

func (m *member) CloseAllowingRebalance() {
	m.AllowRebalance()
	m.b.rebalance(func() { m.b.without(m) })
}

// kick is what a group does with a member that it hears nothing of: its partitions are others' before it knows.
func (m *member) kick() {
	m.b.mu.Lock()
	mine := m.parts()
	m.valid++
	for p, owner := range m.b.owner {
		if owner == m {
			m.b.owner[p] = nil
		}
	}
	m.position = map[int]int64{}
	for m.polled && !m.dead {
		m.wake.Wait() // the client tells of it after AllowRebalance
	}
	m.b.mu.Unlock()
	m.loop.lost(mine)
	m.b.mu.Lock()
	m.session = m.valid
	m.b.mu.Unlock()
	m.b.rebalance(func() {})
}

// kill is KILL: nothing goes on but a write that was under way.
func (m *member) kill() {
	m.b.mu.Lock()
	m.dead = true
	m.wake.Broadcast()
	m.b.mu.Unlock()
	m.halt()
	m.b.rebalance(func() { m.b.without(m) })
}
