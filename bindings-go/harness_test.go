package graceshut

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Signals and exits are tested on child processes: this binary again, told by the environment what to be. A child prints
// "ready"; then it is signalled, and read to its end. Every wait has a limit.

const limit = 30 * time.Second

func TestMain(m *testing.M) {
	if name := os.Getenv("GO_TEST_CHILD"); name != "" {
		time.AfterFunc(limit, func() { os.Exit(97) })
		scenario := scenarios[name]
		if scenario == nil {
			fmt.Println("no scenario", name)
			os.Exit(96)
		}
		scenario()
		os.Exit(0)
	}
	// A background job of a shell has INT ignored, and children would inherit that.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGHUP)
	os.Exit(m.Run())
}

// made fails the test when something is missing that another target makes; `make test-go` makes it first.
func made(t *testing.T, path, how string) {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v; %s", err, how)
	}
}

type child struct {
	t      *testing.T
	cmd    *exec.Cmd
	out    *bufio.Reader
	err    bytes.Buffer
	lines  []string
	report string
	begun  time.Time
}

// start runs a scenario of this binary until it says "ready".
func start(t *testing.T, scenario string, env ...string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "GO_TEST_CHILD="+scenario)
	return spawn(t, cmd, env...).until("ready")
}

func spawn(t *testing.T, cmd *exec.Cmd, env ...string) *child {
	t.Helper()
	c := &child{t: t, cmd: cmd, report: filepath.Join(t.TempDir(), "report.json")}
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(append(cmd.Env, "GRACESHUT_REPORT="+c.report), env...)
	out, err := cmd.StdoutPipe()
	must(t, err)
	cmd.Stderr = &c.err
	must(t, cmd.Start())
	stuck := time.AfterFunc(limit, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		stuck.Stop()
		_ = cmd.Process.Kill()
	})
	c.out = bufio.NewReader(out)
	return c
}

// until reads up to this line.
func (c *child) until(line string) *child {
	c.t.Helper()
	for {
		text, err := c.out.ReadString('\n')
		if text = strings.TrimSpace(text); text != "" {
			c.lines = append(c.lines, text)
		}
		if text == line {
			return c
		}
		if err != nil {
			_ = c.cmd.Wait()
			c.t.Fatalf("%q never came: %v\n%s\n%s", line, c.cmd.ProcessState, strings.Join(c.lines, "\n"), c.err.String())
		}
	}
}

func (c *child) signal(s syscall.Signal) *child {
	c.t.Helper()
	c.begun = time.Now()
	must(c.t, c.cmd.Process.Signal(s))
	return c
}

type ended struct {
	*child
	state syscall.WaitStatus
	took  time.Duration
	rep   map[string]any
}

func (c *child) end() *ended {
	c.t.Helper()
	for {
		text, err := c.out.ReadString('\n')
		if text = strings.TrimSpace(text); text != "" {
			c.lines = append(c.lines, text)
		}
		if err != nil {
			break
		}
	}
	err := c.cmd.Wait()
	e := &ended{child: c, took: time.Since(c.begun)}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		c.t.Fatal(err)
	}
	e.state = c.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if text, err := os.ReadFile(c.report); err == nil {
		must(c.t, json.Unmarshal(text, &e.rep))
	}
	return e
}

func (e *ended) fail(format string, args ...any) {
	e.t.Helper()
	report, _ := json.MarshalIndent(e.rep, "", " ")
	e.t.Fatalf(format+"\nsaid:\n%s\nstderr:\n%s\nreport: %s", append(args, strings.Join(e.lines, "\n"), e.err.String(), report)...)
}

func (e *ended) code(want int) *ended {
	e.t.Helper()
	if !e.state.Exited() || e.state.ExitStatus() != want {
		e.fail("left with %d (signal %v), not %d", e.state.ExitStatus(), e.state.Signal(), want)
	}
	return e
}

func (e *ended) diedBy(want syscall.Signal) *ended {
	e.t.Helper()
	if !e.state.Signaled() || e.state.Signal() != want {
		e.fail("left with %d (signal %v), not by %v", e.state.ExitStatus(), e.state.Signal(), want)
	}
	return e
}

// said: these lines, in this order, maybe others between.
func (e *ended) said(want ...string) *ended {
	e.t.Helper()
	rest := e.lines
	for _, line := range want {
		i := slices.Index(rest, line)
		if i < 0 {
			e.fail("%q did not come (in this order)", line)
		}
		rest = rest[i+1:]
	}
	return e
}

func (e *ended) silent(line string) *ended {
	e.t.Helper()
	if slices.Contains(e.lines, line) {
		e.fail("%q came", line)
	}
	return e
}

func (e *ended) outcome(want string) *ended {
	e.t.Helper()
	if got := fmt.Sprint(e.rep["outcome"]); got != want {
		e.fail("outcome %s, not %s", got, want)
	}
	return e
}

func (e *ended) reason(want string) *ended {
	e.t.Helper()
	reason, _ := e.rep["reason"].(map[string]any)
	if got := fmt.Sprint(reason["kind"]); got != want {
		e.fail("reason %s, not %s", got, want)
	}
	return e
}

func (e *ended) unreported() *ended {
	e.t.Helper()
	if e.rep != nil {
		e.fail("there is a report")
	}
	return e
}

func (e *ended) hook(name string) map[string]any {
	e.t.Helper()
	phases, _ := e.rep["phases"].([]any)
	for _, phase := range phases {
		hooks, _ := phase.(map[string]any)["hooks"].([]any)
		for _, h := range hooks {
			if hook := h.(map[string]any); hook["name"] == name {
				return hook
			}
		}
	}
	e.fail("no hook %q in the report", name)
	return nil
}

func (e *ended) was(name, outcome string) *ended {
	e.t.Helper()
	if got := e.hook(name)["outcome"]; got != outcome {
		e.fail("hook %s %v, not %s", name, got, outcome)
	}
	return e
}

func (e *ended) within(d time.Duration) *ended {
	e.t.Helper()
	if e.took > d {
		e.fail("took %v, more than %v", e.took, d)
	}
	return e
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wants(t *testing.T, err error, kind Kind, words string) {
	t.Helper()
	var e *Error
	if !errors.Is(err, kind) || !errors.As(err, &e) || e.Kind != kind || !strings.Contains(e.Message, words) {
		t.Fatalf("%v is not %s with %q", err, string(kind), words)
	}
}
