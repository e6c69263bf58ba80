package graceshut

/*
#include <graceshut.h>
*/
import "C"

import (
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

// step is true when l is to be closed now. A listener that has no descriptor is closed when nobody comes.
func (g linger) step(came, busy bool, l any) bool {
	var seen C.uint32_t
	if came {
		seen |= C.GRACESHUT_CAME
	}
	if busy {
		seen |= C.GRACESHUT_BUSY
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

func withDescriptor(l any, f func(fd uintptr)) bool {
	if sc, ok := l.(syscall.Conn); ok {
		if rc, err := sc.SyscallConn(); err == nil {
			return rc.Control(f) == nil
		}
	}
	return false
}
