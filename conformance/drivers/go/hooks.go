package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/graceshut/graceshut/bindings-go"
)

type hookSpec struct {
	Phase     string
	Name      string
	Form      string
	TimeoutMs *int64 `json:"timeout_ms"`
	After     []string
	Optional  bool
	Steps     []act
	Wasm      *wasmSpec
}

type wasmSpec struct {
	Path string
	graceshut.Grants
}

func (s hookSpec) options() []graceshut.HookOption {
	options := []graceshut.HookOption{graceshut.After(s.After...)}
	if s.TimeoutMs != nil {
		options = append(options, graceshut.Timeout(time.Duration(*s.TimeoutMs)*time.Millisecond))
	}
	if s.Optional {
		options = append(options, graceshut.Optional())
	}
	return options
}

var kinds = []string{"exec", "http", "delay", "inflight", "signal"}

// body is one run of a hook.
type body struct {
	spec   hookSpec
	ctx    graceshut.Context
	mu     sync.Mutex
	told   bool // that it was cancelled
	ended  bool
	panics bool
}

func (p *player) add(text json.RawMessage) bool {
	var spec hookSpec
	var all map[string]json.RawMessage
	check(json.Unmarshal(text, &spec))
	check(json.Unmarshal(text, &all))
	hook, err := p.register(spec, all)
	if !attempt(spec.Name, err) {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hooks[spec.Name] = hook
	return true
}

func (p *player) register(spec hookSpec, all map[string]json.RawMessage) (*graceshut.Hook, error) {
	for _, kind := range kinds {
		if value, ok := all[kind]; ok {
			hook := map[string]any{"phase": spec.Phase, "name": spec.Name, "after": spec.After, "optional": spec.Optional, kind: value}
			if spec.TimeoutMs != nil {
				hook["timeout"] = time.Duration(*spec.TimeoutMs) * time.Millisecond
			}
			return p.gs.Declare(hook)
		}
	}
	options := spec.options()
	phase := graceshut.Phase(spec.Phase)
	if spec.Wasm != nil {
		return p.gs.Wasm(phase, spec.Wasm.Path, spec.Wasm.Grants, append(options, graceshut.Name(spec.Name))...)
	}
	if spec.Form == "async" {
		return p.gs.HookStart(phase, spec.Name, func(c *graceshut.Completion) {
			go func() { c.Finish(p.run(spec, c.Context())) }()
		}, options...)
	}
	return p.gs.Hook(phase, spec.Name, func(ctx graceshut.Context) error { return p.run(spec, ctx) }, options...)
}

// run plays a hook.
func (p *player) run(spec hookSpec, ctx graceshut.Context) error {
	b := &body{spec: spec, ctx: ctx}
	reason, message, _ := strings.Cut(ctx.Reason(), ": ")
	var remaining any
	if left, limited := ctx.Remaining(); limited {
		remaining = left.Microseconds()
	}
	trace("start", spec.Name, fields{
		"phase": string(ctx.Phase()), "context_name": ctx.Name(), "reason": reason, "signal": signalName(ctx.Signal()),
		"message": orNull(message), "remaining_us": remaining, "cancelled": ctx.Err() != nil, "abandoned": names(ctx.Abandoned()),
	})
	stop := context.AfterFunc(ctx, b.tellCancel)
	defer stop()
	err := p.play(spec.Steps, b)
	var code graceshut.ExitCode
	switch {
	case err == nil:
		b.end("ok", nil)
	case errors.As(err, &code):
		b.end("exit", nil)
	case errors.Is(err, context.Canceled):
		b.end("cancelled", nil)
	default:
		b.end("failed", err.Error())
	}
	return err
}

func names(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func signalName(s syscall.Signal) any {
	name, known := map[syscall.Signal]string{
		syscall.SIGTERM: "TERM", syscall.SIGINT: "INT", syscall.SIGHUP: "HUP", syscall.SIGQUIT: "QUIT", syscall.SIGUSR1: "USR1",
		syscall.SIGUSR2: "USR2", syscall.SIGPWR: "PWR",
	}[s]
	switch {
	case s == 0:
		return nil
	case known:
		return name
	}
	return int(s)
}

// tellCancel is called once the context is cancelled, also by the hook's own end.
func (b *body) tellCancel() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.told || b.ended || context.Cause(b.ctx) != graceshut.ErrSoftDeadline {
		return
	}
	b.told = true
	trace("cancel", b.spec.Name, nil)
}

func (b *body) end(how string, message any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	trace("end", b.spec.Name, fields{"how": how, "message": message})
}
