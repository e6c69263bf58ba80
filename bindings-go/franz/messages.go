package franz

import (
	"context"
	"errors"
	"fmt"
	"time"

	graceshut "github.com/graceshut/graceshut/bindings-go"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Messages consumes records one at a time. A record counts as done when the program called Done of its Message, in any order and from any
// goroutine, at once or later. Of a partition nothing is committed past the first record that was handed out and is not done.
//
//	gs.Main(func() error {
//		return franz.Messages{Runtime: gs, Handle: func(ctx context.Context, m *franz.Message) error {
//			if err := store(ctx, m.Value); err != nil {
//				return err // ends Run; the record comes again
//			}
//			m.Done()
//			return nil
//		}}.Run(kgo.SeedBrokers("127.0.0.1:9092"), kgo.ConsumerGroup("indexer"), kgo.ConsumeTopics("orders"))
//	})
//
// The shutdown: drain hands out nothing more and waits for the Handle under way, then for Finish; flush waits until all that was handed
// out is done, and commits; close leaves the group. What is not done by then is not committed, and flush fails.
//
// Handle, OnTick and Finish are called one at a time. Their ctx is cancelled at the soft deadline of flush, not when the shutdown begins.
type Messages struct {
	// Runtime is what Install answered.
	Runtime *graceshut.Runtime

	// Handle gets the next record, from the goroutine of Run; those of a partition in order. While it runs the group waits with a
	// rebalance. That it returns nil says nothing about the record: Done does, also of a record that is passed over. Its error ends
	// the loop: the group is left, and Run returns the error.
	Handle func(ctx context.Context, m *Message) error

	// Tick is how long nothing comes before OnTick is called, and called again; 0: never.
	Tick time.Duration

	// OnTick is for what is due also while nothing comes. From the goroutine of Run; an error ends the loop.
	OnTick func(ctx context.Context) error

	// Finish is for a program that holds records: those it is to finish now, and call done. Called before partitions are another
	// member's (from a goroutine of the client; the group waits), when the shutdown has ended the loop, and where it has failed
	// then, once more in flush. An error is told to OnError, in flush it is that of the hook. Nil when the program holds nothing.
	Finish func(ctx context.Context) error

	// CommitEvery is how often what is done is committed; 1 s when 0. It is committed as well before partitions are another member's,
	// and in the shutdown.
	CommitEvery time.Duration

	// Name is that of the hooks; "kafka" when empty.
	Name string

	// OnError is told of what goes wrong and ends nothing: commits and fetches, which are tried again, and what fails while the group
	// rebalances or the shutdown is under way. From goroutines of this package and of the client. slog.Error when nil.
	OnError func(error)
}

// Run makes a client of these options and consumes until the shutdown. It returns nil when the group is left, the error that ended
// the loop, or the one that kept it from beginning. Do not give options for auto-commit, for OnPartitionsRevoked, OnPartitionsLost
// and BlockRebalanceOnPoll: they are set here.
func (m Messages) Run(options ...kgo.Opt) error {
	if m.Runtime == nil || m.Handle == nil {
		return errors.New("franz.Messages needs Runtime and Handle")
	}
	if m.Tick < 0 || m.CommitEvery < 0 {
		return fmt.Errorf("franz.Messages: Tick %v and CommitEvery %v have to be 0 or more", m.Tick, m.CommitEvery)
	}
	if (m.Tick > 0) != (m.OnTick != nil) {
		return errors.New("franz.Messages: Tick and OnTick need each other")
	}
	s := newStream(m)
	client, err := clientOf(s, options)
	if err != nil {
		return err
	}
	return s.run(s, client, m.Runtime)
}

// Message is a record that was handed out. Its methods may be called from any goroutine; on one that the program made itself, for a test
// of its Handle, they do nothing.
type Message struct {
	*kgo.Record

	stream *stream
	line   *line
	offset int64 // the program may change its Record
	epoch  int32
	state  state // under mu of the stream
}

// Done says that this record needs nothing any more. A second call changes nothing, and neither does one after the partition went to
// another member. It does not wait for the broker: the commit comes later.
func (m *Message) Done() {
	if m.stream != nil {
		m.stream.done(m)
	}
}

// Gone says that the partition of this record was taken away since: its next member reads the record again.
func (m *Message) Gone() bool {
	if m.stream == nil {
		return false
	}
	m.stream.mu.Lock()
	defer m.stream.mu.Unlock()
	return m.line.gone
}
