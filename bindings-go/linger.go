package graceshut

/*
#include <graceshut.h>
*/
import "C"

import (
	"context"
	"syscall"
	"time"
)

// How often the drain looks.
const look = 10 * time.Millisecond

// linger is core's word on when a listener is to be closed (spec 9.4).
type linger struct{ c *C.graceshut_linger }

func newLinger(ctx Context) linger {
	left := C.int64_t(C.GRACESHUT_FOREVER)
	if remaining, limited := ctx.Remaining(); limited {
		left = C.int64_t(max(remaining, 0).Microseconds())
	}
	return linger{C.graceshut_linger_new(left, 0)}
}

// seen is what happened since the last look.
type seen struct {
	came      bool // work was refused
	connected bool // a connection was accepted
	busy      bool // a client waits for its answer
}

// look is true when l is to be closed now. A listener that has no descriptor is closed when no client comes.
func (g linger) look(what seen, l any) bool {
	var seen C.uint32_t
	for bit, is := range map[C.uint32_t]bool{C.GRACESHUT_CAME: what.came, C.GRACESHUT_CONNECTED: what.connected, C.GRACESHUT_BUSY: what.busy} {
		if is {
			seen |= bit
		}
	}
	over := false
	asked := withDescriptor(l, func(fd uintptr) {
		one := C.int(fd)
		over = C.graceshut_linger_step(g.c, seen, &one, 1) != 0
	})
	if !asked {
		over = C.graceshut_linger_step(g.c, seen, nil, 0) != 0
	}
	return over
}

func (g linger) free() { C.graceshut_linger_free(g.c) }

// until looks every few milliseconds; false when ctx ended first.
func until(ctx context.Context, done func() bool) bool {
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return done()
		case <-ticker.C:
		}
	}
	return true
}

func withDescriptor(l any, f func(fd uintptr)) bool {
	if sc, ok := l.(syscall.Conn); ok {
		if rc, err := sc.SyscallConn(); err == nil {
			return rc.Control(f) == nil
		}
	}
	return false
}
