package graceshut

// #include "bridge.h"
import "C"

// Grants say what a WebAssembly guest may; everything else is denied. What they mean is in docs/wasm-hooks.md, and judged by
// the library.
type Grants struct {
	Env    map[string]string // variables by name and value
	Args   []string          // after the hook's name, which is always the first
	Dirs   map[string]string // name in the guest: folder of the host, with ":rw" at its end to write
	HTTP   []string          // methods and host: "PUT 127.0.0.1:8500", "GET,DELETE registry.internal:80"
	Clock  bool
	Random bool
	Config map[string]string // texts it reads by context_read("config.KEY")
	Memory uint64            // at most so many bytes; 0: 16 MiB
	Fuel   uint64            // a second cap beside time, about one unit an instruction; 0: none
}

// Wasm registers a WebAssembly module: sandboxed, and stopped for real at its deadline. It runs even while Go is stuck. Its name
// is the file's unless Name says another. Reads and checks the file (milliseconds), and compiles it in the background.
//
//	gs.Wasm(graceshut.Announce, "deregister.wasm", graceshut.Grants{HTTP: []string{"PUT 127.0.0.1:8500"}})
//
// The engine is some 8 MB, so it is there with the build tag graceshut_wasm only.
//
// Errors: ErrUnsupported without the tag, ErrBadValue for what is wrong with the module or a grant, ErrOS for what cannot be read,
// ErrBadConfig, and those of Hook.
func (rt *Runtime) Wasm(phase Phase, file string, grants Grants, options ...HookOption) (*Hook, error) {
	var o hookOptions
	for _, option := range options {
		if option == nil {
			return nil, fail(ErrNull, "an option of the wasm hook %q is nil", file)
		}
		if err := option(&o); err != nil {
			return nil, err
		}
	}
	hook := map[string]any{"phase": string(phase), "optional": o.flags&C.GRACESHUT_HOOK_OPTIONAL != 0, "wasm": grants.of(file)}
	if o.name != "" {
		hook["name"] = o.name
	}
	if o.timeout != 0 {
		hook["timeout"] = int64(o.timeout)
	}
	if len(o.after) > 0 {
		hook["after"] = o.after
	}
	return rt.Declare(hook)
}

func (g Grants) of(file string) map[string]any {
	wasm := map[string]any{"path": file, "clock": g.Clock, "random": g.Random}
	for key, texts := range map[string]map[string]string{"env": g.Env, "dirs": g.Dirs, "config": g.Config} {
		if len(texts) > 0 {
			wasm[key] = texts
		}
	}
	for key, texts := range map[string][]string{"args": g.Args, "http": g.HTTP} {
		if len(texts) > 0 {
			wasm[key] = texts
		}
	}
	for key, number := range map[string]uint64{"memory": g.Memory, "fuel": g.Fuel} {
		if number > 0 {
			wasm[key] = number
		}
	}
	return wasm
}
