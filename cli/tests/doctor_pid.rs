//! `graceshut doctor --pid` on live processes: C, Python under uvicorn, Node, Go, Java, a shell in front of a program, one whose
//! handler a library replaced, one with graceshut in it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Folder, Live, Run, graceshut, has, until};
use serde_json::Value;
use std::ffi::CString;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Takes the signals named, then says ready and echoes lines.
const C: &str = r#"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
static volatile int usr1;
static void on(int s) { if (s == SIGUSR1) usr1++; }
int main(int argc, char **argv) {
    sigset_t set;
    struct sigaction sa = { .sa_handler = on, .sa_flags = SA_RESTART };
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGTERM, SIG_DFL);
    sigemptyset(&set);
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "catch")) { sigaction(SIGTERM, &sa, 0); sigaction(SIGUSR1, &sa, 0); }
        if (!strcmp(argv[i], "ignore")) signal(SIGTERM, SIG_IGN);
        if (!strcmp(argv[i], "block")) { sigaddset(&set, SIGTERM); sigprocmask(SIG_BLOCK, &set, 0); }
        if (!strcmp(argv[i], "fork") && fork() == 0) { execlp("sleep", "sleep", "60", (char *)0); }
    }
    char line[256];
    puts("ready"); fflush(stdout);
    while (fgets(line, sizeof line, stdin)) { printf("%d %s", usr1, line); fflush(stdout); }
    return 0;
}
"#;

/// What a library does that takes a signal for itself.
const CULPRIT: &str = r#"
#include <signal.h>
static void on(int s) { (void)s; }
void steal(void) { struct sigaction sa = { .sa_handler = on }; sigaction(SIGTERM, &sa, 0); }
"#;

fn compile(folder: &Folder, source: &str, name: &str, flags: &[&str]) -> String {
    folder.write(&format!("{name}.c"), source);
    let status =
        Command::new("cc").args(["-O1", "-o", name, &format!("{name}.c")]).args(flags).current_dir(&folder.0).status().unwrap();
    assert!(status.success());
    folder.path(name)
}

/// Starts it and waits for `ready`, alone on a line.
fn start(command: &mut Command) -> Live {
    let mut child = Live(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let mut lines = BufReader::new(child.0.stdout.take().unwrap());
    let mut line = String::new();
    loop {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "it ended before it was ready");
        if line.trim() == "ready" {
            break;
        }
    }
    child.0.stdout = Some(lines.into_inner());
    child
}

fn doctor(live: &Live, options: &[&str]) -> Run {
    let pid = live.pid();
    graceshut(&[&["doctor", "--pid", &pid, "--format", "json"], options].concat())
}

fn codes(json: &Value) -> Vec<String> {
    json["findings"].as_array().unwrap().iter().map(|f| f["code"].as_str().unwrap().to_owned()).collect()
}

fn term(json: &Value) -> Value {
    let signals = json["process"]["signals"].as_array().unwrap();
    signals.iter().find(|s| s["signal"] == "TERM").unwrap().clone()
}

/// TERM is caught in a file of such a name; the runtime is this one; nothing is found wrong with it.
fn well(live: &Live, runtime: &str, file: &str) {
    let json = doctor(live, &["--handlers"]).ok().json();
    assert_eq!(json["process"]["runtime"], runtime);
    assert!(term(&json)["handler_in"].as_str().unwrap_or_default().contains(file), "{json:#}");
    assert!(codes(&json).iter().all(|c| c == "pid-children"), "{json:#}");
    assert_eq!(json["process"]["not_seen"].as_array().unwrap().len(), 0, "{json:#}");
}

#[test]
fn c_with_a_handler_and_without() {
    let folder = Folder::new("pid");
    let program = compile(&folder, C, "program", &[]);
    well(&start(Command::new(&program).arg("catch")), "native", "/program");
    let bare = start(&mut Command::new(&program));
    assert_eq!(codes(&doctor(&bare, &[]).gives(1).json()), ["pid-term-default"]);
}

#[test]
fn c_that_ignores_or_blocks() {
    let folder = Folder::new("pid");
    let program = compile(&folder, C, "program", &[]);
    let deaf = start(Command::new(&program).arg("ignore"));
    assert_eq!(codes(&doctor(&deaf, &[]).gives(1).json()), ["pid-term-ignored"]);
    let blocked = start(Command::new(&program).args(["catch", "block"]));
    assert_eq!(codes(&doctor(&blocked, &[]).ok().json()), ["pid-term-blocked"]);
    blocked.signal(libc::SIGTERM);
    assert_eq!(codes(&doctor(&blocked, &[]).gives(1).json()), ["pid-term-pending"]);
}

#[test]
fn pid_1_without_a_handler() {
    let folder = Folder::new("pid");
    let program = compile(&folder, C, "program", &[]);
    let outer = start(Command::new("unshare").args(["--pid", "--fork", "--kill-child", &program]));
    let children = format!("/proc/{0}/task/{0}/children", outer.pid());
    let inner = std::fs::read_to_string(children).unwrap().trim().to_owned();
    let json = graceshut(&["doctor", "--pid", &inner, "--format", "json"]).gives(1).json();
    assert_eq!((json["process"]["inner_pid"].as_i64(), codes(&json)), (Some(1), vec!["pid-term-pid1".to_owned()]));
}

#[test]
fn stopped_and_ended() {
    let folder = Folder::new("pid");
    let program = compile(&folder, C, "program", &[]);
    let live = start(Command::new(&program).arg("catch"));
    live.signal(libc::SIGSTOP);
    let state = || std::fs::read_to_string(format!("/proc/{}/stat", live.pid())).unwrap();
    until("it stops", || state().contains(") T "));
    assert_eq!(codes(&doctor(&live, &[]).gives(1).json()), ["pid-stopped"]);
    live.signal(libc::SIGKILL);
    until("it ends", || state().contains(") Z "));
    assert_eq!(codes(&doctor(&live, &[]).gives(1).json()), ["pid-zombie"]);
}

#[test]
fn python_under_uvicorn() {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("target/venv-adapters/bin/python");
    if !has(python.to_str().unwrap()) {
        return;
    }
    let folder = Folder::new("pid");
    folder.write(
        "app.py",
        "async def app(scope, receive, send):\n    assert scope['type'] == 'lifespan'\n    await receive()\n    \
         await send({'type': 'lifespan.startup.complete'})\n    await receive()\n",
    );
    // uvicorn says that it runs after it has taken the signals.
    let serve = "import uvicorn, logging\nclass Say(logging.Handler):\n    def emit(self, r):\n        \
                 'running on' in r.getMessage() and print('ready', flush=True)\n\
                 logging.getLogger('uvicorn.error').addHandler(Say())\n\
                 uvicorn.run('app:app', port=0, log_config=None, log_level='info')\n";
    let live = start(Command::new(&python).args(["-c", serve]).current_dir(&folder.0));
    well(&live, "Python", "python");
}

#[test]
fn node() {
    if has("node") {
        let code = "process.on('SIGTERM', () => {}); setInterval(() => {}, 1e6); console.log('ready')";
        well(&start(Command::new("node").args(["-e", code])), "Node", "node");
    }
}

#[test]
fn go() {
    if !has("go") {
        return;
    }
    let folder = Folder::new("pid");
    folder.write(
        "main.go",
        "package main\n\nimport (\n\t\"fmt\"\n\t\"os\"\n\t\"os/signal\"\n\t\"syscall\"\n)\n\nfunc main() {\n\tc := make(chan os.Signal, 1)\n\t\
         signal.Notify(c, syscall.SIGTERM)\n\tfmt.Println(\"ready\")\n\t<-c\n}\n",
    );
    let build = Command::new("go").args(["build", "-o", "service", "main.go"]).current_dir(&folder.0).status().unwrap();
    assert!(build.success());
    well(&start(&mut Command::new(folder.path("service"))), "Go", "/service");
}

#[test]
fn java() {
    if !has("java") {
        return;
    }
    let folder = Folder::new("pid");
    folder.write(
        "Main.java",
        "public class Main {\n    public static void main(String[] a) throws Exception {\n        System.out.println(\"ready\");\n        \
         Thread.sleep(1000000);\n    }\n}\n",
    );
    well(&start(Command::new("java").arg("Main.java").current_dir(&folder.0)), "Java", "libjvm.so");
}

#[test]
fn a_shell_in_front_of_a_program() {
    let folder = Folder::new("pid");
    let program = compile(&folder, C, "program", &[]);
    let line = format!("'{program}' catch; echo never");
    let live = start(Command::new("sh").args(["-c", &line]).process_group(0));
    let json = doctor(&live, &[]).gives(1).json();
    assert_eq!(codes(&json), ["pid-shell"]);
    let why = json["findings"][0]["why"].as_str().unwrap();
    assert!(why.contains("/program catch never hears of it"), "{why}");
    assert!(json["findings"][0]["fix"].as_str().unwrap().contains("exec"));
    // SAFETY: a plain system call; the group is the shell's own.
    assert_eq!(unsafe { libc::kill(-(live.0.id() as i32), libc::SIGKILL) }, 0);
}

#[test]
fn npm_in_front_of_a_program() {
    if !has("npm") {
        return;
    }
    let folder = Folder::new("pid");
    folder.write(
        "package.json",
        r#"{"name":"x","version":"1.0.0","scripts":{"start":"node -e \"console.log('ready');setInterval(()=>{},1e6)\""}}"#,
    );
    let live = start(Command::new("npm").args(["start"]).current_dir(&folder.0).process_group(0));
    let found = codes(&doctor(&live, &[]).gives(1).json());
    assert!(found.contains(&"pid-npm".to_owned()), "{found:?}");
    // SAFETY: as above.
    assert_eq!(unsafe { libc::kill(-(live.0.id() as i32), libc::SIGKILL) }, 0);
}

#[test]
fn children_that_the_signal_does_not_reach() {
    let folder = Folder::new("pid");
    let program = compile(&folder, C, "program", &[]);
    let live = start(Command::new(&program).args(["catch", "fork"]).process_group(0));
    let json = doctor(&live, &[]).ok().json();
    assert_eq!(codes(&json), ["pid-children"]);
    // SAFETY: as above.
    assert_eq!(unsafe { libc::kill(-(live.0.id() as i32), libc::SIGKILL) }, 0);
}

#[test]
fn a_library_took_the_runtimes_signal() {
    let folder = Folder::new("pid");
    let culprit = compile(&folder, CULPRIT, "libculprit.so", &["-shared", "-fPIC"]);
    let code = format!(
        "import ctypes, signal, sys\nsignal.signal(signal.SIGTERM, lambda *a: None)\nctypes.CDLL('{culprit}').steal()\n\
         print('ready', flush=True)\nsys.stdin.read()\n"
    );
    let live = start(Command::new("python3").args(["-c", &code]));
    let json = doctor(&live, &["--handlers"]).gives(1).json();
    assert_eq!(codes(&json), ["pid-handler-foreign"]);
    assert_eq!(term(&json)["handler_in"], culprit.as_str());
    assert!(json["findings"][0]["why"].as_str().unwrap().contains("libculprit.so: Python's own handling"), "{json:#}");
    // Without the permission to stop it that is not known, and nothing is claimed.
    assert_eq!(codes(&doctor(&live, &[]).ok().json()), Vec::<String>::new());
}

/// A program with graceshut in it, whose handler a library takes again and again when CULPRIT is set: what this program is where
/// GS_CHILD is set.
fn child() -> ! {
    let gs = graceshut::install(graceshut::Options::default()).unwrap();
    if let Ok(path) = std::env::var("CULPRIT") {
        let path = CString::new(path).unwrap();
        // SAFETY: a valid path; the library runs nothing when it is loaded.
        let library = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
        assert!(!library.is_null());
        // SAFETY: a live library and a valid name.
        let steal = unsafe { libc::dlsym(library, c"steal".as_ptr()) };
        assert!(!steal.is_null());
        // SAFETY: `void steal(void)`, as compiled above.
        let steal: extern "C" fn() = unsafe { std::mem::transmute(steal) };
        steal();
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(Duration::from_millis(20));
                steal();
            }
        });
    }
    println!("\nready");
    let finished = gs.wait(None).unwrap();
    std::process::exit(finished.exit.code);
}

fn with_graceshut(env: &[(&str, &str)]) -> Live {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "graceshuts_own_handler_and_one_that_replaced_it", "--nocapture"]);
    command.env("GS_CHILD", "1").env("GRACESHUT_REPORT", "none").envs(env.iter().copied());
    start(&mut command)
}

#[test]
fn graceshuts_own_handler_and_one_that_replaced_it() {
    if std::env::var_os("GS_CHILD").is_some() {
        child();
    }
    let live = with_graceshut(&[("GRACESHUT_GRACE", "9s")]);
    let json = doctor(&live, &["--handlers"]).ok().json();
    assert_eq!(json["process"]["graceshut"][0]["armed"], true);
    assert_eq!(
        (json["process"]["grace_us"].as_u64(), json["process"]["grace_origin"].as_str()),
        (Some(9_000_000), Some("environment GRACESHUT_GRACE"))
    );
    assert_eq!(codes(&json), Vec::<String>::new());
    let page = graceshut(&["doctor", "--pid", &live.pid(), "--handlers"]).ok().stdout;
    assert!(page.contains("TERM      caught by graceshut in "), "{page}");

    let folder = Folder::new("pid");
    let culprit = compile(&folder, CULPRIT, "libculprit.so", &["-shared", "-fPIC"]);
    let robbed = with_graceshut(&[("CULPRIT", &culprit)]);
    let json = doctor(&robbed, &["--handlers"]).gives(1).json();
    assert_eq!(codes(&json), ["pid-handler-replaced"]);
    let why = json["findings"][0]["why"].as_str().unwrap();
    assert!(why.starts_with(&format!("TERM is handled by {culprit}, and not by graceshut ")), "{why}");
}

#[test]
fn more_grace_than_the_platform_gives() {
    let live = with_graceshut(&[("GRACESHUT_GRACE", "60s"), ("KUBERNETES_SERVICE_HOST", "10.0.0.1")]);
    let json = doctor(&live, &[]).gives(1).json();
    assert_eq!(codes(&json), ["pid-grace"]);
    let why = json["findings"][0]["why"].as_str().unwrap();
    assert!(why.contains("of 60s") && why.contains("kubernetes kills after 30s"), "{why}");
}

#[test]
fn being_examined_does_no_harm() {
    let folder = Folder::new("pid");
    let program = compile(&folder, C, "program", &[]);
    let mut live = start(Command::new(&program).arg("catch"));
    let mut lines = BufReader::new(live.0.stdout.take().unwrap());
    for n in 1..=20 {
        live.signal(libc::SIGUSR1);
        let json = doctor(&live, &["--handlers"]).ok().json();
        assert!(term(&json)["handler_in"].is_string());
        writeln!(live.0.stdin.as_mut().unwrap(), "line {n}").unwrap();
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        assert_eq!(line, format!("{n} line {n}\n"), "a signal or a line was lost");
    }
}

#[test]
fn who_cannot_be_examined() {
    let says = |run: common::Done, code: i32, saying: &[&str]| {
        assert_eq!(run.code, code, "{}{}", run.stderr, run.stdout);
        saying
            .iter()
            .for_each(|s| assert!(run.stderr.contains(s) || run.stdout.contains(s), "{s:?}: {}{}", run.stderr, run.stdout));
    };
    let mut gone = Command::new("true").spawn().unwrap();
    let pid = gone.id().to_string();
    gone.wait().unwrap();
    says(graceshut(&["doctor", "--pid", &pid]).done(), 2, &["there is no process", "pgrep"]);
    if std::fs::read_to_string("/proc/2/comm").is_ok_and(|c| c.trim() == "kthreadd") {
        says(graceshut(&["doctor", "--pid", "2"]).done(), 2, &["thread of the kernel"]);
    }
    says(graceshut(&["doctor", "--pid", "0"]).done(), 2, &["--pid"]);
    says(graceshut(&["doctor", "--handlers", "x"]).done(), 2, &["--pid"]);
    let folder = Folder::new("pid");
    let program = compile(&folder, C, "program", &[]);
    let live = start(Command::new(&program).arg("catch"));
    // SAFETY: takes nothing and cannot fail.
    if unsafe { libc::geteuid() } == 0 {
        let run = graceshut(&["doctor", "--pid", &live.pid(), "--handlers"]).done_by(65534);
        says(run, 0, &["TERM      caught", "no permission: the process belongs to user 0", "sudo graceshut doctor --pid"]);
    }
}
