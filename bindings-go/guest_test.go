package graceshut

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

var guestLibrary = sync.OnceValues(func() (string, error) {
	// Kept: children of later tests load it.
	library, err := filepath.Abs("../target/go-guest/libguest.so")
	if err != nil {
		return "", err
	}
	// go build does not see that the archive inside is another one.
	_ = os.Remove(library)
	if out, err := exec.Command("go", "build", "-buildmode=c-shared", "-o", library, "./testdata/guest").CombinedOutput(); err != nil {
		return string(out), err
	}
	out, err := exec.Command("cc", "-o", filepath.Join(filepath.Dir(library), "host"), "testdata/guest/host.c", "-ldl").CombinedOutput()
	if err != nil {
		return string(out), err
	}
	return library, nil
})

func inHost(t *testing.T, words ...string) *child {
	t.Helper()
	library, err := guestLibrary()
	if err != nil {
		t.Fatal(library, err)
	}
	// Short: a host that handles the signal and does not leave is made to at the deadline.
	command := exec.Command(filepath.Join(filepath.Dir(library), "host"), append([]string{library}, words...)...)
	return spawn(t, command, "GRACESHUT_GRACE=3s").until("ready")
}

// Embedding D32: Go as somebody's guest. Its runtime leaves TERM alone, so the host's handler is what is chained.
func TestGoAsAGuestInC(t *testing.T) {
	t.Parallel()
	inHost(t).signal(term).end().code(0).said("guest's hook after terminated", "host's atexit").outcome("clean")
	inHost(t).signal(intr).end().diedBy(syscall.SIGINT).said("guest's hook after interrupt")
	inHost(t, "handler", "leaves").signal(term).end().code(7).said("host heard").said("guest's hook after terminated").said("host's own stop is over")
	inHost(t, "listens-first").signal(term).end().code(0).said("guest heard terminated").said("guest's hook after terminated")
	inHost(t, "listens-later").signal(term).end().code(0).said("guest heard terminated").said("guest's hook after terminated")
}

// The hosts from here on have a handler of their own and never leave: each is made to at the deadline, which is degraded (docs/spec.md 6.6).
//
// Over the host's own handler a later Notify in the library replaces ours; looking finds that within 5 s, and both hear it then.
func TestALaterNotifyInAGuestIsRepaired(t *testing.T) {
	t.Parallel()
	c := inHost(t, "handler", "listens-later")
	time.Sleep(6 * time.Second) // there is nothing to be seen from outside
	c.signal(term).end().code(1).outcome("degraded").said("guest heard terminated").said("guest's hook after terminated")
}

// A signal between such a replacement and a look that is 5 s away was lost for good: the first looks are close together.
func TestALaterNotifyInAGuestIsSoonRepaired(t *testing.T) {
	t.Parallel()
	c := inHost(t, "handler", "listens-later")
	time.Sleep(400 * time.Millisecond) // there is nothing to be seen from outside
	c.signal(term).end().code(1).outcome("degraded").said("guest heard terminated").said("guest's hook after terminated").within(5 * time.Second)
}

func TestGoAsAGuestInPython(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	must(t, err)
	library, err := guestLibrary()
	if err != nil {
		t.Fatal(library, err)
	}
	script := `
import ctypes, os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: os.write(1, b"python heard\n"))
assert ctypes.CDLL(sys.argv[1]).GuestInstall() == 0
print("ready", flush=True)
while True:
    time.sleep(0.05)
`
	// Python's handler is called after ours, and runs when its main thread comes by: before the process is gone or not.
	spawn(t, exec.Command(python, "-c", script, library), "GRACESHUT_GRACE=2s").until("ready").signal(term).end().code(1).outcome("degraded").said("guest's hook after terminated")
	spawn(t, exec.Command(python, "-c", script, library), "GRACESHUT_GRACE=2s").until("ready").signal(intr).end().diedBy(syscall.SIGINT)
}
