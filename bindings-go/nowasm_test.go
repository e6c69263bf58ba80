//go:build !graceshut_wasm && !graceshut_system

package graceshut

import (
	"errors"
	"strings"
	"testing"
)

func TestWasmWithoutTheTagSaysHowToGetIt(t *testing.T) {
	gs := local(t)
	_, err := gs.Wasm(Flush, "../examples/hooks/deregister.wasm", Grants{HTTP: []string{"PUT 127.0.0.1:9"}})
	if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "build tag graceshut_wasm") {
		t.Error(err)
	}
}
