package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/graceshut/graceshut/bindings-go"
)

// trace writes one line, at once.
func trace(what, name string, more fields) {
	line := fields{"what": what}
	if name != "" {
		line["name"] = name
	}
	for key, value := range more {
		line[key] = value
	}
	text, err := json.Marshal(line)
	check(err)
	_, _ = syscall.Write(traceFd, append(text, '\n'))
}

// play plays acts one after another, until one ends the hook (b, nil elsewhere) with an error.
func (p *player) play(acts []act, b *body) error {
	for _, a := range acts {
		if err := p.one(a, b); err != nil {
			return err
		}
	}
	return nil
}

func ms(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// one plays an act.
func (p *player) one(a act, b *body) error {
	switch a.Do {
	case "sleep", "sleep_through", "until_cancelled", "spin", "block", "never":
		return p.pass(a, b)
	case "fail":
		return errors.New(a.Message)
	case "cancelled":
		return context.Canceled
	case "panic":
		b.end("panic", a.Message)
		panic(a.Message)
	case "exit":
		trace("exit", "", nil)
		return graceshut.ExitCode(a.Code)
	case "fatal":
		fatal(a.How)
	case "enter", "part", "leave", "count":
		p.work(a)
	case "caught":
		status, err := os.ReadFile("/proc/self/status")
		check(err)
		_, rest, _ := strings.Cut(string(status), "SigCgt:")
		value, _, _ := strings.Cut(rest, "\n")
		trace("caught", a.Name, fields{"value": strings.TrimSpace(value)})
	case "extend", "progress", "log", "abandoned", "remaining", "wait":
		p.ask(a, b)
	default:
		p.life(a)
	}
	return nil
}

// pass lets time go by.
func (p *player) pass(a act, b *body) error {
	switch a.Do {
	case "sleep_through":
		time.Sleep(ms(a.Ms))
	case "spin":
		for until := time.Now().Add(ms(a.Ms)); time.Now().Before(until); {
		}
	case "block":
		left := syscall.NsecToTimespec(ms(a.Ms).Nanoseconds())
		for syscall.Nanosleep(&left, &left) == syscall.EINTR {
		}
	case "never":
		select {}
	default:
		if b == nil {
			time.Sleep(ms(a.Ms))
			return nil
		}
		select {
		case <-time.After(ms(a.Ms)):
		case <-b.ctx.Done():
			b.tellCancel()
			if a.Do == "sleep" {
				return b.ctx.Err()
			}
		}
	}
	return nil
}

// fatal leaves so that nothing runs. Go has no abort; its runtime takes the signal as a fatal error on a thread of its own, which
// is who gets it: as abort's, it is sent to the calling thread.
func fatal(how string) {
	trace("fatal", "", nil)
	if how == "abort" {
		runtime.LockOSThread()
		_, _, _ = syscall.RawSyscall(syscall.SYS_TGKILL, uintptr(os.Getpid()), uintptr(syscall.Gettid()), uintptr(syscall.SIGABRT))
		select {}
	}
	os.Exit(4)
}

// work is work in flight.
func (p *player) work(a act) {
	group := ""
	if a.Group != nil {
		group = *a.Group
	}
	g, err := p.gs.Group(group)
	if !attempt(a.Do, err) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch a.Do {
	case "enter":
		unit, ok := g.Enter()
		if !ok {
			trace("refused", a.As, nil)
			return
		}
		p.units[a.As] = &unit
		trace("entered", a.As, nil)
	case "part":
		unit := p.units[a.Of].Enter()
		p.units[a.As] = &unit
		trace("entered", a.As, nil)
	case "leave":
		trace("left", a.Of, nil)
		p.units[a.Of].Leave()
	case "count":
		trace("count", "", fields{"value": g.Count()})
	}
}

// ask is what a hook's context is asked.
func (p *player) ask(a act, b *body) {
	name := b.spec.Name
	switch a.Do {
	case "extend":
		trace("extended", name, fields{"granted_us": b.ctx.Extend(ms(a.Ms)).Microseconds()})
	case "progress":
		b.ctx.Progress(a.Done, a.Total)
	case "log":
		b.ctx.Log(a.Message)
	case "abandoned":
		trace("abandoned", name, fields{"names": names(b.ctx.Abandoned())})
	case "remaining":
		left, _ := b.ctx.Remaining()
		trace("remaining", name, fields{"us": left.Microseconds()})
	case "wait":
		_, err := p.gs.Wait()
		attempt("wait", err)
	}
}

// life is the rest.
func (p *player) life(a act) {
	gs := p.gs
	switch a.Do {
	case "mark":
		trace("mark", a.Name, nil)
	case "stop":
		trace("stop", "", nil)
		var grace time.Duration
		if a.GraceMs != nil {
			grace = ms(*a.GraceMs)
		}
		attempt("stop", gs.Stop(a.Reason, grace))
	case "register":
		var spec hookSpec
		check(json.Unmarshal(a.Hook, &spec))
		if p.add(a.Hook) {
			trace("registered", spec.Name, nil)
		}
	case "remove":
		p.mu.Lock()
		hook := p.hooks[a.Name]
		p.mu.Unlock()
		answer, err := hook.Remove()
		if attempt(a.Name, err) {
			trace("removed", a.Name, fields{"answer": string(answer)})
		}
	case "word":
		value := 0
		if gs.IsDraining() {
			value = 2
		} else if gs.IsStopping() {
			value = 1
		}
		trace("word", "", fields{"value": value})
	case "state":
		trace("state", string(gs.State()), nil)
	case "ready":
		attempt("ready", gs.Ready())
	case "install":
		options := a.Options
		if options == nil || string(options) == "null" {
			options = p.scenario.Options
		}
		again, err := graceshut.Install(graceshut.ConfigJSON(string(options)))
		if attempt("install", err) {
			p.gs = again
			trace("installed", "", nil)
		}
	case "handle":
		heard := make(chan os.Signal, 1)
		signal.Notify(heard, syscall.SIGTERM)
		go func() {
			<-heard
			trace("handled", "", nil)
			if a.Ms > 0 {
				time.Sleep(ms(a.Ms))
				p.main <- act{Do: "return"}
			}
		}()
	case "uninstall":
		if attempt("uninstall", gs.Uninstall()) {
			trace("uninstalled", "", nil)
		}
	default:
		check(errors.New("no act " + a.Do))
	}
}
