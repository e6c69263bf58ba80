// Package franz joins consumers of github.com/twmb/franz-go to the shutdown of graceshut. With Batches records are collected, written by one
// call of the program, and committed when that call has returned; with Messages they come one at a time, and what the program called done
// is committed. A module of its own, so that graceshut needs no Kafka client.
//
//	gs, err := graceshut.Install()
//	...
//	gs.Main(func() error {
//		return franz.Batches{Runtime: gs, Write: bulk}.Run(kgo.SeedBrokers("127.0.0.1:9092"), kgo.ConsumerGroup("indexer"), kgo.ConsumeTopics("events"))
//	})
package franz

import (
	"context"
	"errors"
	"fmt"
	"time"

	graceshut "github.com/graceshut/graceshut/bindings-go"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Batches consumes records in batches. A record counts as done when the Write that had it returned nil; then its offset is
// committed, and never before, whatever comes in between: a failed write, a rebalance, a signal.
//
// The shutdown: drain takes nothing more and waits for the write under way; flush writes the rest and commits; close leaves the
// group. A write that is stuck is not committed, and the hook fails.
type Batches struct {
	// Runtime is what Install answered.
	Runtime *graceshut.Runtime

	// Write writes records; those of a partition in order, one call at a time. Where it fails the loop ends: the group is left and
	// Run returns the error, see Retry. Records may come again, here or elsewhere: let it be one that may happen twice. ctx is not
	// the poll's: it is cancelled at the soft deadline of flush, not when the shutdown begins.
	Write func(ctx context.Context, records []*kgo.Record) error

	// Size is how many records one Write has at most; 500 when 0.
	Size int

	// Every is how long a record waits for its Write at most; 5 s when 0.
	Every time.Duration

	// Retry is how long to wait before a Write that failed is tried again, with more records perhaps, up to Size; 0: it is not.
	Retry time.Duration

	// Name is that of the hooks; "kafka" when empty.
	Name string

	// OnError is told of what goes wrong and will be tried again: commits, fetches, with Retry writes. From the goroutine of Run, and from one of
	// the client's while the group rebalances. slog.Error when nil.
	OnError func(error)
}

// Run makes a client of these options and consumes until the shutdown. It returns nil when the group is left, the error of a Write that
// ended the loop, or the one that kept it from beginning. Do not give options for auto-commit, for OnPartitionsRevoked, OnPartitionsLost and BlockRebalanceOnPoll: they are
// set here.
func (b Batches) Run(options ...kgo.Opt) error {
	if b.Runtime == nil || b.Write == nil {
		return errors.New("franz.Batches needs Runtime and Write")
	}
	if b.Size < 0 || b.Every < 0 || b.Retry < 0 {
		return fmt.Errorf("franz.Batches: Size %d, Every %v and Retry %v have to be 0 or more", b.Size, b.Every, b.Retry)
	}
	l := newLoop(b)
	client, err := clientOf(l, options)
	if err != nil {
		return err
	}
	return l.run(l, client, b.Runtime)
}

func newLoop(b Batches) *loop {
	l := &loop{
		session: newSession(b.Name, b.OnError), write: b.Write, size: b.Size, every: b.Every, retry: b.Retry, epochs: map[part]int{},
	}
	if l.size == 0 {
		l.size = 500
	}
	if l.every == 0 {
		l.every = 5 * time.Second
	}
	return l
}
