package graceshut

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A new user, in an empty folder, with nothing but the packaged module: go get, the README's program, Ctrl-C.
func TestANewUserNeedsOnlyTheModule(t *testing.T) {
	proxy, _ := filepath.Abs("../target/goproxy")
	made(t, proxy, "make go-module")
	text, err := os.ReadFile("../examples/go/quickstart.go")
	must(t, err)
	folder, cache := t.TempDir(), t.TempDir()
	env := append(os.Environ(), "GOPROXY=file://"+proxy, "GONOSUMDB=*", "GOFLAGS=-mod=mod -modcacherw", "GOMODCACHE="+cache, "GOWORK=off")
	run := func(name string, args ...string) {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir, cmd.Env = folder, env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
	}
	run("go", "mod", "init", "example.com/app")
	must(t, os.WriteFile(filepath.Join(folder, "main.go"), text, 0o644))
	run("go", "get", "github.com/graceshut/graceshut/bindings-go")
	run("go", "build", "-o", "app")
	// Vendored, the library comes along.
	run("go", "mod", "vendor")
	if _, err := os.Stat(filepath.Join(folder, "vendor/github.com/graceshut/graceshut/bindings-go/lib/linux_amd64/libgraceshut.a")); err != nil {
		t.Error(err)
	}
	e := spawn(t, exec.Command(filepath.Join(folder, "app"))).until("ready: press Ctrl-C").signal(intr).end()
	e.diedBy(intr).said("buffers written")
	if !strings.HasPrefix(e.lines[1], "no new work; 4.0 s") && !strings.HasPrefix(e.lines[1], "no new work; 3.9 s") {
		e.fail("%s", e.lines[1])
	}
}

// The build tag takes the installed library instead, by pkg-config.
func TestTheSystemsLibrary(t *testing.T) {
	stage, _ := filepath.Abs("../target/stage")
	made(t, filepath.Join(stage, "lib/pkgconfig/graceshut.pc"), "make c-library")
	app := filepath.Join(t.TempDir(), "app")
	build := exec.Command("go", "build", "-tags", "graceshut_system", "-o", app, "../examples/go/quickstart.go")
	build.Env = append(os.Environ(), "PKG_CONFIG_PATH="+filepath.Join(stage, "lib/pkgconfig"))
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	run := exec.Command(app)
	run.Env = append(os.Environ(), "LD_LIBRARY_PATH="+filepath.Join(stage, "lib"))
	spawn(t, run).until("ready: press Ctrl-C").signal(term).end().code(0).said("buffers written")
}

// The header beside the archive is the library's.
func TestTheHeaderIsTheLibrarys(t *testing.T) {
	ours, err := os.ReadFile("lib/linux_amd64/graceshut.h")
	must(t, err)
	theirs, err := os.ReadFile("../bindings-c/include/graceshut.h")
	must(t, err)
	if !bytes.Equal(ours, theirs) {
		t.Error("lib/linux_amd64/graceshut.h is another one: make go-archive")
	}
}
