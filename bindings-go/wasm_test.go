//go:build graceshut_wasm

package graceshut

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

// What WebAssembly hooks mean is tested in wasm/ and in every language by conformance; here: Go's way to say it.

// It wants http granted, and fails in words without its configuration.
const deregister = "../examples/hooks/deregister.wasm"

var some = Grants{HTTP: []string{"PUT 127.0.0.1:9"}, Env: map[string]string{"A": "1"}, Args: []string{"-v"},
	Dirs: map[string]string{"/": "/tmp"}, Memory: 1 << 20}

func TestWasmIsRefusedInWords(t *testing.T) {
	t.Setenv("GRACESHUT_WASM_CACHE", "off")
	gs := local(t)
	for _, c := range []struct {
		phase  Phase
		file   string
		grants Grants
		kind   error
		words  string
	}{
		{Flush, deregister, Grants{}, ErrBadValue, `http = ["PUT 127.0.0.1:8500"]`},
		{Flush, "nowhere.wasm", some, ErrOS, "nowhere.wasm"},
		{Flush, "wasm.go", some, ErrBadValue, "wasm.go"},
		{Flush, deregister, Grants{HTTP: []string{"127.0.0.1:80"}}, ErrBadConfig, "PUT 127.0.0.1:8500"},
		{Flush, deregister, Grants{HTTP: some.HTTP, Dirs: map[string]string{"/in": "/nowhere"}}, ErrBadValue, "/nowhere"},
		{"flsh", deregister, some, ErrUnknownPhase, "flsh"},
	} {
		_, err := gs.Wasm(c.phase, c.file, c.grants)
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s %s: %v, not %v with %q", c.phase, c.file, err, c.kind, c.words)
		}
	}
	if _, err := gs.Wasm(Flush, deregister, some, Timeout(-1)); !errors.Is(err, ErrBadTime) {
		t.Error(err)
	}
	if _, err := gs.Wasm(Flush, deregister, some, nil); !errors.Is(err, ErrNull) {
		t.Error(err)
	}
}

func TestWasmRunsWithWhatItWasGiven(t *testing.T) {
	t.Setenv("GRACESHUT_WASM_CACHE", "off")
	gs := local(t, Grace(20*time.Second))
	other, removed := some, some
	other.Config = map[string]string{"url": "nonsense"}
	_, err := gs.Wasm(Flush, deregister, some, Timeout(4*time.Second))
	must(t, err)
	_, err = gs.Wasm(Flush, deregister, other, Name("other"), After("deregister"), Optional())
	must(t, err)
	hook, err := gs.Wasm(Close, deregister, removed, Name("removed"))
	must(t, err)
	_, err = hook.Remove()
	must(t, err)
	must(t, gs.Stop("test", 0))
	_, err = gs.WaitTimeout(limit)
	must(t, err)
	var report struct {
		Phases []struct {
			Hooks []struct{ Name, Kind, Outcome, Message string }
		}
	}
	must(t, json.Unmarshal(gs.Report(), &report))
	said := map[string]string{}
	for _, phase := range report.Phases {
		for _, h := range phase.Hooks {
			if h.Kind == "wasm" {
				said[h.Name] = h.Outcome + " " + h.Message
			}
		}
	}
	if len(said) != 2 || said["deregister"] != "failed returned 2: config.url is missing" ||
		!strings.HasPrefix(said["other"], "failed ") || strings.Contains(said["other"], "missing") {
		t.Error(said)
	}
}
