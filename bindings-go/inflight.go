package graceshut

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"sync"
	"sync/atomic"
	"unicode/utf8"
	"unsafe"
)

// Work in flight by atomics on the shared page: no call into C on the hot path (docs/spec.md 9; the layout is in graceshut.h).

const (
	wordOffset   = 64
	leftOffset   = 64
	announced    = 1
	draining     = 2
	layoutNumber = 1
)

// Group is a set of units of work in flight. Lives as long as the process; any goroutine.
type Group struct {
	word    *uint32
	stripes unsafe.Pointer
	mask    uintptr
	shift   uint8
	name    string
}

// Guard is one unit of work. Leave ends it, in any goroutine.
type Guard struct {
	group *Group
	left  *uint32
}

var groups sync.Map // name -> *Group

func groupOf(name string) (*Group, error) {
	if found, ok := groups.Load(name); ok {
		return found.(*Group), nil
	}
	if !utf8.ValidString(name) {
		return nil, fail(ErrNotUTF8, "the name of a group %q is not valid UTF-8", name)
	}
	text, err := cString(name, "the name of a group")
	if err != nil {
		return nil, err
	}
	defer free(text)
	var page *C.graceshut_page
	err = call(func() C.int {
		if page = C.graceshut_inflight_page(text); page == nil {
			return C.GRACESHUT_E_BAD_VALUE
		}
		return C.GRACESHUT_OK
	})
	if err != nil {
		return nil, err
	}
	head := (*[5]uint32)(unsafe.Pointer(page))
	if head[1] != layoutNumber {
		return nil, fail(ErrABIMismatch, "the counters' layout is %d, this package knows %d", head[1], layoutNumber)
	}
	g := &Group{
		word: (*uint32)(unsafe.Add(unsafe.Pointer(page), wordOffset)), stripes: unsafe.Add(unsafe.Pointer(page), head[4]),
		mask: uintptr(head[2] - 1), name: name,
	}
	for 1<<g.shift < head[3] {
		g.shift++
	}
	found, _ := groups.LoadOrStore(name, g)
	return found.(*Group), nil
}

// stripe chooses a counter: goroutines run on stacks of their own, so the place of a local variable spreads them, for the
// price of a multiplication.
func (g *Group) stripe() *uint32 {
	var here byte
	spread := uintptr(unsafe.Pointer(&here)) >> 11 * 0x9E3779B97F4A7C15 >> 40
	return (*uint32)(unsafe.Add(g.stripes, (spread&g.mask)<<g.shift))
}

// Enter counts a unit in. False once work is refused (from drain on): then nothing is to be ended.
func (g *Group) Enter() (Guard, bool) {
	entered := g.stripe()
	atomic.AddUint32(entered, 1)
	guard := Guard{g, (*uint32)(unsafe.Add(unsafe.Pointer(entered), leftOffset))}
	if atomic.LoadUint32(g.word) != draining {
		return guard, true
	}
	guard.Leave()
	return Guard{}, false
}

// Part counts a part of already accepted work in (a sub-request, a queued task); never refuses.
func (g *Group) Part() Guard {
	entered := g.stripe()
	atomic.AddUint32(entered, 1)
	return Guard{g, (*uint32)(unsafe.Add(unsafe.Pointer(entered), leftOffset))}
}

// Leave ends the unit. A second Leave of the same variable, and one of the zero Guard, does nothing; copies are not told apart.
// Small enough to be inlined, as long as what it calls is not.
func (g *Guard) Leave() {
	if group := g.group; group != nil {
		g.group = nil
		atomic.AddUint32(g.left, 1)
		if atomic.LoadUint32(group.word) == draining {
			wake()
		}
	}
}

//go:noinline
func wake() { C.graceshut_inflight_wake() }

// Enter counts a part of this unit in; never refuses.
func (g *Guard) Enter() Guard {
	if g.group == nil {
		return Guard{}
	}
	return g.group.Part()
}

// Count is the number of units in flight: never lower than the truth at some instant during the call.
func (g *Group) Count() int {
	text := C.CString(g.name)
	defer free(text)
	var n C.uint32_t
	C.graceshut_inflight_count(text, &n)
	return int(n)
}

// Track counts a unit of work in: false once work is refused, then nothing is to be ended.
//
//	work, ok := gs.Track()
//	if !ok { ... 503 ... }
//	defer work.Leave()
func (rt *Runtime) Track() (Guard, bool) { return rt.work.Enter() }

// InFlight is the default group's Count.
func (rt *Runtime) InFlight() int { return rt.work.Count() }

// Group answers the group of that name, made when first asked for; "" is the default one. Errors: ErrBadValue (more than 64).
func (rt *Runtime) Group(name string) (*Group, error) { return groupOf(name) }

// IsStopping is true from the trigger on: readiness is red, work is still taken.
func (rt *Runtime) IsStopping() bool { return atomic.LoadUint32(rt.work.word) >= announced }

// IsDraining is true from the start of drain on: new work is refused.
func (rt *Runtime) IsDraining() bool { return atomic.LoadUint32(rt.work.word) >= draining }
