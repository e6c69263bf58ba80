// Plays conformance scenarios through the Go module. See ../../README.md.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/graceshut/graceshut/bindings-go"
)

type scenario struct {
	Main        string
	Options     json.RawMessage
	WatchEvents []string `json:"watch_events"`
	Reloads     []struct {
		Name  string
		Steps []act
	}
	Hooks     []json.RawMessage
	Before    []act
	AfterWait []act `json:"after_wait"`
}

// act has the keys of every act.
type act struct {
	Do      string
	Name    string
	Message string
	Ms      int64
	Code    int
	How     string
	Reason  string
	GraceMs *int64 `json:"grace_ms"`
	Hook    json.RawMessage
	Done    uint64
	Total   uint64
	As      string
	Of      string
	Group   *string
	Options json.RawMessage
}

type player struct {
	gs       *graceshut.Runtime
	scenario scenario
	mu       sync.Mutex
	hooks    map[string]*graceshut.Hook
	units    map[string]*graceshut.Guard
	main     chan act // what main is to play
}

type fields map[string]any

var traceFd = descriptor("CONFORMANCE_TRACE_FD")

func descriptor(variable string) int {
	n, err := strconv.Atoi(os.Getenv(variable))
	check(err)
	return n
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "driver:", err)
		os.Exit(90)
	}
}

// attempt traces an error of graceshut's; true without one.
func attempt(name string, err error) bool {
	if err == nil {
		return true
	}
	var e *graceshut.Error
	if !errors.As(err, &e) {
		check(err)
	}
	trace("error", name, fields{"kind": string(e.Kind)})
	return false
}

func main() {
	p := &player{hooks: map[string]*graceshut.Hook{}, units: map[string]*graceshut.Guard{}, main: make(chan act, 16)}
	text, err := os.ReadFile(os.Getenv("CONFORMANCE_SCENARIO"))
	check(err)
	check(json.Unmarshal(text, &p.scenario))
	p.gs, err = graceshut.Install(graceshut.ConfigJSON(string(p.scenario.Options)))
	if !attempt("install", err) {
		os.Exit(3)
	}
	p.prepare()
	go p.control()
	if p.scenario.Main == "idle" {
		p.gs.Main(p.idle)
		return
	}
	p.before()
	p.wait()
}

func (p *player) prepare() {
	if len(p.scenario.WatchEvents) > 0 {
		attempt("events", p.gs.OnEvent(p.onEvent))
	}
	for _, reload := range p.scenario.Reloads {
		attempt(reload.Name, p.gs.OnReload(reload.Name, func() error {
			trace("reload", reload.Name, nil)
			return p.play(reload.Steps, nil)
		}))
	}
	for _, hook := range p.scenario.Hooks {
		p.add(hook)
	}
}

func (p *player) before() {
	if err := p.play(p.scenario.Before, nil); err != nil {
		p.leave(err)
	}
	trace("ready", "", nil)
}

// wait is what main does: wait, and leave with the decided status.
func (p *player) wait() {
	code, err := p.gs.WaitTimeout(24 * time.Hour)
	if err != nil {
		attempt("wait", err)
		select {}
	}
	trace("waited", "", fields{"code": code})
	if err := p.play(p.scenario.AfterWait, nil); err != nil {
		p.leave(err)
	}
	_, _ = p.gs.Wait() // leaves, but in manual mode and after uninstall
	os.Exit(code)
}

// leave is an exit call outside of hooks and of Main.
func (p *player) leave(err error) {
	var code graceshut.ExitCode
	if !errors.As(err, &code) {
		check(err)
	}
	os.Exit(int(code))
}

// idle is a main that never calls wait.
func (p *player) idle() error {
	if err := p.play(p.scenario.Before, nil); err != nil {
		return err
	}
	trace("ready", "", nil)
	for a := range p.main {
		switch a.Do {
		case "return":
			trace("return", "", nil)
			return nil
		case "raise":
			trace("raise", "", nil)
			return errors.New(a.Message)
		}
		if err := p.play([]act{a}, nil); err != nil {
			return err
		}
	}
	return nil
}

// control reads acts; what is main's goes there.
func (p *player) control() {
	lines := bufio.NewScanner(os.NewFile(uintptr(descriptor("CONFORMANCE_CONTROL_FD")), "control"))
	for lines.Scan() {
		var a act
		check(json.Unmarshal(lines.Bytes(), &a))
		if p.scenario.Main == "idle" && slices.Contains([]string{"return", "exit", "raise", "hold"}, a.Do) {
			p.main <- a
			continue
		}
		if err := p.play([]act{a}, nil); err != nil {
			p.leave(err)
		}
	}
}

func (p *player) onEvent(e graceshut.Event) {
	if !slices.Contains(p.scenario.WatchEvents, e.Kind) {
		return
	}
	f := fields{"hook": orNull(e.Hook), "message": orNull(e.Message)}
	if e.Kind == "progress" {
		f["done"], f["total"] = e.Value, e.Total
	}
	trace("event", e.Kind, f)
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}
