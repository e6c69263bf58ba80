package graceshut

import (
	"context"
	"errors"
)

// GRPCServer is what *grpc.Server of google.golang.org/grpc is; this module itself needs no other.
type GRPCServer interface {
	GracefulStop()
	Stop()
}

// GRPC stops a gRPC server in drain: GracefulStop, which tells clients to go and waits for calls in flight, and at the soft
// deadline Stop, which ends those that are left (the hook is cancelled then). The hook is named "grpc", or as Name says.
//
//	gs.GRPC(server)
//	err := server.Serve(ln) // nil when graceshut stopped it
//
// A stream that never ends holds drain up: let its handler return when gs.Draining() is closed.
func (rt *Runtime) GRPC(server GRPCServer, options ...HookOption) (*Hook, error) {
	if server == nil {
		return nil, fail(ErrNull, "GRPC needs a server")
	}
	o := hookOptions{name: "grpc"}
	for _, option := range options {
		if option == nil {
			return nil, fail(ErrNull, "an option of GRPC is nil")
		}
		if err := option(&o); err != nil {
			return nil, err
		}
	}
	if o.streams {
		return nil, fail(ErrUnsupported, "GRPC cannot tell streams from calls: let the handler of a stream return when gs.Draining() is closed, instead of EndStreamsAfter")
	}
	hook, err := rt.Hook(Drain, o.name, func(ctx Context) error {
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			server.GracefulStop()
		}()
		select {
		case <-gone:
			return nil
		case <-ctx.Done():
			server.Stop()
			<-gone
			return ctx.Err()
		}
	}, options...)
	if err == nil {
		err = rt.SetServing(true)
	}
	return hook, err
}

// WaitGroup is what *errgroup.Group of golang.org/x/sync is.
type WaitGroup interface {
	Wait() error
}

// ErrGroup joins a group of goroutines to the shutdown, in phase (Drain, as a rule): the group's context, which is to come
// from ctx, is cancelled when that phase begins, and the hook waits until its goroutines have ended. Its error is the hook's, but
// for the cancellation that graceshut itself asked for. A group that fails before is a trigger: Stop with its error.
//
//	ctx, cancel := context.WithCancel(context.Background())
//	group, ctx := errgroup.WithContext(ctx)
//	group.Go(func() error { return consume(ctx) })
//	gs.ErrGroup(graceshut.Drain, "consumers", group, cancel)
//
// The group must have all its goroutines by then: it calls group.Wait at once.
func (rt *Runtime) ErrGroup(phase Phase, name string, group WaitGroup, cancel context.CancelFunc, options ...HookOption) (*Hook, error) {
	if group == nil || cancel == nil {
		return nil, fail(ErrNull, "ErrGroup needs a group and the function that cancels its context")
	}
	ended := make(chan struct{})
	var result error
	hook, err := rt.Hook(phase, name, func(ctx Context) error {
		cancel()
		select {
		case <-ended:
			if errors.Is(result, context.Canceled) {
				return nil
			}
			return result
		case <-ctx.Done():
			return ctx.Err()
		}
	}, options...)
	if err != nil {
		return nil, err
	}
	go func() {
		result = group.Wait()
		close(ended)
		if result != nil && !rt.IsStopping() {
			_ = rt.Stop(name+": "+valid(result.Error()), 0)
		}
	}()
	return hook, nil
}
