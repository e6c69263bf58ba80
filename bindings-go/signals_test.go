package graceshut

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Embedding D, fact by fact. 29 and 30: everybody who listens hears, in whichever order.
func TestTheProgramsOwnNotifyGoesOnWorking(t *testing.T) {
	t.Parallel()
	start(t, "notify_before").signal(term).end().code(0).said("early got terminated").said("hook flush/b")
	start(t, "notify_after").signal(term).end().code(0).said("late got terminated").said("hook flush/b")
	start(t, "notify_context").signal(intr).end().diedBy(intr).said("context done").said("hook flush/b")
}

// 30: signal.Stop is harmless, signal.Reset is not: documented at Install.
func TestStopIsHarmlessAndResetIsAsDocumented(t *testing.T) {
	t.Parallel()
	start(t, "notify_stop").signal(term).end().code(0).said("hook flush/b")
	start(t, "reset").signal(term).end().diedBy(term).unreported()
}

// 29: signal.Ignore replaces ours; looking finds it (3.5).
func TestIgnoreIsRepaired(t *testing.T) {
	t.Parallel()
	e := start(t, "ignore").signal(term).end().code(0).said("ignored true", "hook flush/b")
	if !strings.Contains(fmt.Sprint(e.rep["handler"]), "map[missed:true repairs:1 signal:TERM state:ours]") {
		e.fail("the report does not tell of the repair")
	}
}

// 31: the flag is what counts, a run without a crash proves nothing.
func TestTheHandlerRunsOnTheAlternateStack(t *testing.T) {
	gs, err := Install(Exit(ExitManual), Report("none"))
	must(t, err)
	defer func() { must(t, gs.Uninstall()) }()
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		const onStack, sigInfo = 0x08000000, 4
		if flags := flagsOf(s); flags&onStack == 0 || flags&sigInfo == 0 {
			t.Errorf("%v has flags %#x", s, flags)
		}
	}
}

func TestAMappedSignal(t *testing.T) {
	t.Parallel()
	start(t, "usr1").signal(syscall.SIGUSR1).end().code(0).said("hook flush/b")
}

// 3.4: nohup's choice stays.
func TestAnInheritedIgnoreStays(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sh", "-c", `trap "" HUP; exec "$0"`, os.Args[0])
	cmd.Env = append(os.Environ(), "GO_TEST_CHILD=idle")
	c := spawn(t, cmd).until("ready").signal(syscall.SIGHUP)
	time.Sleep(200 * time.Millisecond)
	c.signal(term).end().code(0).said("hook flush/b").reason("signal")
}

// 10.3: what a hook starts has the default dispositions and an empty mask. What the test itself was started with stays: glibc's
// posix_spawn, which make uses, leaves its own signal 32 ignored.
func TestAChildInheritsNothing(t *testing.T) {
	t.Parallel()
	status, err := os.ReadFile("/proc/self/status")
	must(t, err)
	ignored := regexp.MustCompile(`SigIgn:\s+([0-9a-f]+)`).FindSubmatch(status)
	start(t, "exec").signal(term).end().code(0).said("SigBlk: 0000000000000000", "SigIgn: "+string(ignored[1]), "SigCgt: 0000000000000000")
}

// 3.7: Go is as before.
func TestUninstallGivesTheSignalBack(t *testing.T) {
	t.Parallel()
	start(t, "after_uninstall").signal(term).end().diedBy(term).unreported().silent("hook flush/b")
}
