//! What the suites of tini, dumb-init, catatonit and timeout(1) ask, asked of them and of graceshut under their names. An answer is
//! a few words; where ours differs from theirs it has to be one of [`BETTER`]. With UPDATE=1 the table in README.md is written.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::harness::*;

crate::suite!("peers":
    under_their_names_graceshut_answers_as_they_do,
    tinis_remap_of_every_status,
    dumb_inits_rewrites,
    timeouts_own_statuses,
);

/// The four programs, as they are put before a command.
const NAMES: [&str; 4] = ["tini", "dumb-init", "catatonit", "timeout"];

/// One program as it is called.
#[derive(Clone)]
struct Subject {
    name: &'static str,
    ours: bool,
    program: PathBuf,
}

impl Subject {
    /// Its usual options, then `more`, then the command.
    fn cmd(&self, more: &[&str]) -> Cmd {
        let cmd = Cmd::new(&self.program);
        match self.name {
            "run" => cmd.args(&["run", "--report", "none", "--grace", "1s"]).args(more).arg("--"),
            "tini" => cmd.arg("-s").args(more).arg("--"),
            "catatonit" => cmd.args(more).arg("--"),
            "timeout" => cmd.args(more).arg("60"),
            _ => cmd.args(more),
        }
    }

    fn probe(&self, more: &[&str], name: &str) -> Cmd {
        self.cmd(more).arg(own()).env("GS_CHILD", name)
    }

    /// As PID 1 of its own namespace.
    fn pid1(&self, words: &[&str]) -> Cmd {
        let before: &[&str] = match self.name {
            "run" => &["run", "--report", "none"],
            "timeout" => &["60"],
            _ => &[],
        };
        let dashes: &[&str] = if matches!(self.name, "timeout" | "dumb-init") { &[] } else { &["--"] };
        let cmd = Cmd::new("unshare").args(&["--pid", "--fork", "--kill-child", "--mount-proc"]).arg(&self.program);
        cmd.args(before).args(dashes).args(words)
    }
}

type Ask = fn(&Subject) -> String;

/// The case, whom it is asked of, the question.
const CASES: &[(&str, &[&str], Ask)] = &[
    ("statuses 0 1 2 32 64 124 127 254 255 of the command", &["run", "tini", "dumb-init", "catatonit", "timeout"], statuses),
    ("command killed by TERM, HUP, QUIT, KILL", &["run", "tini", "dumb-init", "catatonit", "timeout"], killed),
    ("command not found; not executable", &["run", "tini", "dumb-init", "catatonit", "timeout"], not_executable),
    ("no command; unknown option", &["run", "tini", "dumb-init", "catatonit", "timeout"], usage),
    ("`-h`, `--version` (timeout: `--help`)", &["tini", "dumb-init", "catatonit", "timeout"], help),
    ("of signals 1-31, 34 and 64, these do not arrive", &["run", "tini", "dumb-init", "catatonit", "timeout"], not_delivered),
    (
        "TSTP, TTIN, TTOU sent to it: wrapper stops, and CONT resumes it",
        &["run", "tini", "dumb-init", "catatonit"],
        stop_signals,
    ),
    ("TERM while a shell runs two pipelines: left over", &["run", "tini", "dumb-init", "catatonit", "timeout"], pipelines),
    ("command ends, one of its group lives on: left over", &["run", "tini", "dumb-init", "catatonit", "timeout"], left_over),
    ("ignored signals and mask of the command", &["run", "tini", "dumb-init", "catatonit", "timeout"], inherited),
    ("working folder: the wrapper's, the command's", &["run", "tini", "dumb-init", "catatonit"], folders),
    ("LISTEN_PID of the wrapper becomes the command's", &["run", "tini", "dumb-init", "catatonit"], listen_pid),
    (
        "command ignores TERM: after 2 s (grace of `run`: 1 s)",
        &["run", "tini", "dumb-init", "catatonit", "timeout"],
        ignores_term,
    ),
    ("PID 1: zombies left of 50 orphans and their children", &["run", "tini", "dumb-init", "catatonit"], zombies),
    ("PID 1: wake-ups in 3 idle seconds", &["run", "tini", "dumb-init", "catatonit"], wake_ups),
    ("TERM 0 to 15 ms after the start, group mode, 60 starts: lost", &["run", "tini", "dumb-init", "catatonit"], early_term),
];

/// Where ours is deliberately another answer than the program's: the case, the name, ours.
const BETTER: &[(&str, &str)] = &[
    ("of signals 1-31, 34 and 64, these do not arrive", "tini"),
    ("of signals 1-31, 34 and 64, these do not arrive", "catatonit"),
    ("of signals 1-31, 34 and 64, these do not arrive", "timeout"),
    ("ignored signals and mask of the command", "dumb-init"),
    ("ignored signals and mask of the command", "catatonit"),
    ("ignored signals and mask of the command", "timeout"),
    ("working folder: the wrapper's, the command's", "catatonit"),
    ("LISTEN_PID of the wrapper becomes the command's", "tini"),
    ("LISTEN_PID of the wrapper becomes the command's", "dumb-init"),
    ("PID 1: wake-ups in 3 idle seconds", "tini"),
    ("TERM 0 to 15 ms after the start, group mode, 60 starts: lost", "tini"),
    ("TERM 0 to 15 ms after the start, group mode, 60 starts: lost", "dumb-init"),
    ("TERM 0 to 15 ms after the start, group mode, 60 starts: lost", "catatonit"),
];

fn list(codes: impl IntoIterator<Item = i32>) -> String {
    codes.into_iter().map(|c| c.to_string()).collect::<Vec<_>>().join(" ")
}

fn statuses(s: &Subject) -> String {
    let all = [0, 1, 2, 32, 64, 124, 127, 254, 255];
    let other: Vec<i32> =
        all.into_iter().filter(|c| s.cmd(&[]).args(&["sh", "-c", &format!("exit {c}")]).end().as_shell() != *c).collect();
    if other.is_empty() { "the same".to_owned() } else { format!("not {}", list(other)) }
}

fn killed(s: &Subject) -> String {
    list([15, 1, 3, 9].map(|n| s.cmd(&[]).args(&["sh", "-c", &format!("kill -{n} $$")]).end().as_shell()))
}

fn not_executable(s: &Subject) -> String {
    list(["/no/such/program", "/etc/passwd"].map(|p| s.cmd(&[]).arg(p).end().as_shell()))
}

fn usage(s: &Subject) -> String {
    let none = if s.name == "run" { Cmd::run(&[]).dir("/").end() } else { Cmd::new(&s.program).end() };
    let unknown = Cmd::new(&s.program).args(if s.name == "run" { &["run", "-Z", "true"] } else { &["-Z", "true"][..] }).end();
    list([none.as_shell(), unknown.as_shell()])
}

fn help(s: &Subject) -> String {
    let h = if s.name == "timeout" { "--help" } else { "-h" };
    list([h, "--version"].map(|o| Cmd::new(&s.program).arg(o).end().as_shell()))
}

fn not_delivered(s: &Subject) -> String {
    let held = [libc::SIGKILL, libc::SIGSTOP, libc::SIGCHLD, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
    let mut missing = Vec::new();
    for signo in (1..=31).filter(|n| !held.contains(n)).chain([34, 64]) {
        // `run` answers TERM and INT with a stop, whose signal they are.
        let mut kid = s.probe(&[], "catcher").env("GS_ALRM", "1").env("GS_LEAVE", signo.to_string()).ready();
        let child = children(kid.pid());
        kid.signal(signo);
        let until = Instant::now() + Duration::from_secs(10);
        let mut arrived = false;
        while kid.is_alive() && Instant::now() < until {
            std::thread::sleep(ms(1));
        }
        if kid.is_alive() {
            kid.signal(libc::SIGKILL);
        }
        let said = kid.end().said;
        for line in &said {
            arrived |= *line == format!("got {signo}");
        }
        child.into_iter().for_each(kill_quietly);
        if !arrived {
            missing.push(signo);
        }
    }
    if missing.is_empty() { "none".to_owned() } else { list(missing) }
}

fn children(pid: i32) -> Vec<i32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().map(|p| p.parse().unwrap()).collect()
}

fn kill_quietly(pid: i32) {
    unsafe { libc::kill(pid, libc::SIGKILL) };
}

fn is_stopped(pid: i32) -> bool {
    status_field(&pid.to_string(), "State").starts_with('T')
}

fn stop_signals(s: &Subject) -> String {
    let one = |signo: i32| {
        let mut kid = s.cmd(&[]).args(&["sh", "-c", "echo ready; exec sleep 60"]).ready();
        let pid = kid.pid();
        kid.signal(signo);
        let until = Instant::now() + ms(500);
        while !is_stopped(pid) && Instant::now() < until {
            std::thread::sleep(ms(2));
        }
        let stopped = is_stopped(pid);
        kid.signal(libc::SIGCONT);
        let until = Instant::now() + ms(3_000);
        while is_stopped(pid) && Instant::now() < until {
            std::thread::sleep(ms(2));
        }
        let goes_on = !is_stopped(pid);
        let left = children(pid);
        kid.signal(libc::SIGKILL);
        kid.end_quick();
        left.into_iter().for_each(|c| kill_quietly(-c));
        if stopped && goes_on { "yes" } else { "no" }
    };
    [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU].map(one).join(" ")
}

fn mark() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static N: AtomicU32 = AtomicU32::new(0);
    format!("peers-{}-{}", std::process::id(), N.fetch_add(1, Ordering::SeqCst))
}

fn end_marked(mark: &str) -> usize {
    // What is on its way out has a moment.
    let until = Instant::now() + ms(2_000);
    while !alive_with_mark(mark).is_empty() && Instant::now() < until {
        std::thread::sleep(ms(5));
    }
    let left = alive_with_mark(mark);
    left.iter().for_each(|p| kill_quietly(*p));
    left.len()
}

fn pipelines(s: &Subject) -> String {
    let mark = mark();
    let script = "sleep 1000 | sleep 1000 & sleep 1000 | sleep 1000 & echo ready; wait";
    let mut kid = s.cmd(&[]).args(&["sh", "-c", script]).env("GS_MARK", &mark).ready();
    // Wrapper, shell, and the four; forked and exec'ed.
    let sleeps = || alive_with_mark(&mark).into_iter().filter(|p| status_field(&p.to_string(), "Name") == "sleep").count();
    until("four sleeps", || sleeps() == 4);
    kid.term();
    kid.end_quick();
    end_marked(&mark).to_string()
}

fn left_over(s: &Subject) -> String {
    let mark = mark();
    let cmd = s.probe(&[], "tree").env("GS_TREE", "plain").env("GS_CODE", "0").env("GS_MARK", &mark);
    let mut kid = cmd.start();
    kid.end_quick();
    end_marked(&mark).to_string()
}

fn inherited(s: &Subject) -> String {
    let odd = |cmd: Cmd| {
        let cmd = cmd.before(|| unsafe {
            for signo in [libc::SIGTTOU, libc::SIGINT, libc::SIGUSR2] {
                libc::signal(signo, libc::SIG_IGN);
            }
            let mut set = std::mem::zeroed();
            libc::sigemptyset(&mut set);
            for signo in [libc::SIGTTIN, libc::SIGILL, libc::SIGTERM] {
                libc::sigaddset(&mut set, signo);
            }
            libc::sigprocmask(libc::SIG_SETMASK, &set, std::ptr::null_mut());
            Ok(())
        });
        cmd.args(&["grep", "^Sig[BI]", "/proc/self/status"]).end().said
    };
    let (bare, here) = (odd(Cmd::new("env")), odd(s.cmd(&[])));
    let word = |n: usize| if here.get(n) == bare.get(n) { "kept" } else { "changed" };
    format!("ignored {}, mask {}", word(1), word(0))
}

fn folders(s: &Subject) -> String {
    let folder = Folder::new();
    let mut kid = s.cmd(&[]).args(&["sh", "-c", "pwd; echo ready; exec sleep 60"]).dir(&folder).start();
    let at = kid.wait_for("/");
    kid.wait_for("ready");
    let pid = kid.pid();
    let own = || std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
    let until = Instant::now() + ms(500);
    while own() != *"/" && Instant::now() < until {
        std::thread::sleep(ms(5));
    }
    let word = |p: PathBuf| if p == folder.as_ref() { "where it was" } else { "/" };
    let answer = format!("{}, {}", word(own()), word(at.into()));
    kid.term();
    kid.end_quick();
    answer
}

fn listen_pid(s: &Subject) -> String {
    let words = match s.name {
        "run" => "run --report none --",
        _ => "",
    };
    let dashes = if matches!(s.name, "catatonit" | "tini") { "--" } else { "" };
    let test = "test \"$LISTEN_PID\" = $$ && echo yes || echo no";
    let script = format!("export LISTEN_PID=$$; exec {} {words} {dashes} sh -c '{test}'", s.program.display());
    let end = Cmd::new("sh").args(&["-c", &script]).end();
    if end.has("yes") { "yes".to_owned() } else { "no".to_owned() }
}

fn ignores_term(s: &Subject) -> String {
    let mark = mark();
    let mut kid = s.probe(&[], "stubborn").env("GS_MARK", &mark).ready();
    kid.term();
    let until = Instant::now() + ms(2_000);
    while kid.is_alive() && Instant::now() < until {
        std::thread::sleep(ms(5));
    }
    let alive = kid.is_alive();
    alive_with_mark(&mark).into_iter().for_each(kill_quietly);
    let code = kid.end().as_shell();
    if alive { "still there".to_owned() } else { format!("gone, status {code}") }
}

fn zombies(s: &Subject) -> String {
    let own = own();
    let end = s.pid1(&[&own]).env("GS_CHILD", "storm").env("GS_COUNT", "50").end();
    end.said.iter().find_map(|l| l.strip_prefix("left over: ")).unwrap_or("no answer").to_owned()
}

fn wake_ups(s: &Subject) -> String {
    let own = own();
    let mut kid = s.pid1(&[&own]).env("GS_CHILD", "catcher").ready();
    let inside = children(kid.pid())[0];
    let count = || -> u64 {
        let tasks = std::fs::read_dir(format!("/proc/{inside}/task")).unwrap();
        let of = |tid: String| status_field(&format!("{inside}/task/{tid}"), "voluntary_ctxt_switches").parse::<u64>().unwrap();
        tasks.map(|t| of(t.unwrap().file_name().into_string().unwrap())).sum()
    };
    std::thread::sleep(ms(500));
    let before = count();
    std::thread::sleep(ms(3_050));
    let woke = count() - before;
    kid.signal_at(inside, libc::SIGTERM);
    kid.end_quick();
    woke.to_string()
}

fn early_term(s: &Subject) -> String {
    let group: &[&str] = if matches!(s.name, "tini" | "catatonit") { &["-g"] } else { &[] };
    let mut lost = 0;
    for n in 0..60_u32 {
        let mark = mark();
        let mut kid = s.cmd(group).args(&["sleep", "20"]).env("GS_MARK", &mark).start();
        std::thread::sleep(Duration::from_micros(u64::from(n.wrapping_mul(2_654_435_761) % 15_000)));
        kid.term();
        let until = Instant::now() + Duration::from_secs(2);
        while kid.is_alive() && Instant::now() < until {
            std::thread::sleep(ms(1));
        }
        if kid.is_alive() {
            lost += 1;
            alive_with_mark(&mark).into_iter().for_each(kill_quietly);
        }
        kid.end_quick();
    }
    lost.to_string()
}

fn under_their_names_graceshut_answers_as_they_do() {
    if !may("make a pid namespace") {
        return;
    }
    let links = Folder::new();
    let mut subjects = vec![Subject { name: "run", ours: true, program: GRACESHUT.into() }];
    for name in NAMES {
        subjects.push(Subject { name, ours: true, program: links.link(name) });
        if let Some(program) = program(name) {
            subjects.push(Subject { name, ours: false, program });
        }
    }
    let jobs: Vec<(usize, usize)> = (0..CASES.len())
        .flat_map(|c| (0..subjects.len()).map(move |s| (c, s)))
        .filter(|(c, s)| CASES[*c].1.contains(&subjects[*s].name))
        .collect();
    let answers = Mutex::new(vec![vec![String::new(); subjects.len()]; CASES.len()]);
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some((c, s)) = jobs.get(next.fetch_add(1, std::sync::atomic::Ordering::SeqCst)) {
                    let answer = CASES[*c].2(&subjects[*s]);
                    answers.lock().unwrap()[*c][*s] = answer;
                }
            });
        }
    });
    let answers = answers.into_inner().unwrap();
    let table = table(&subjects, &answers);
    println!("{table}");
    for (c, (case, names, _)) in CASES.iter().enumerate() {
        for name in names.iter().filter(|n| **n != "run") {
            let of = |ours: bool| subjects.iter().position(|s| s.name == *name && s.ours == ours).map(|s| &answers[c][s]);
            let (Some(ours), Some(theirs)) = (of(true), of(false)) else { continue };
            assert!(ours == theirs || BETTER.contains(&(case, name)), "{case}: {name} says {theirs:?}, ours {ours:?}");
        }
        if case.ends_with("lost") {
            let ours = subjects.iter().zip(&answers[c]).filter(|(s, a)| s.ours && !a.is_empty());
            ours.for_each(|(s, a)| assert_eq!(a, "0", "{} lost a TERM", s.name));
        }
    }
    if std::env::var_os("UPDATE").is_some_and(|v| !v.is_empty()) {
        write_down(&table);
    }
}

fn table(subjects: &[Subject], answers: &[Vec<String>]) -> String {
    let mut text =
        "| case | `graceshut run` | tini | ours | dumb-init | ours | catatonit | ours | timeout | ours |\n".to_owned();
    text += "|---|---|---|---|---|---|---|---|---|---|\n";
    for (c, (case, ..)) in CASES.iter().enumerate() {
        let of = |name: &str, ours: bool| {
            let at = subjects.iter().position(|s| s.name == name && s.ours == ours);
            at.map(|s| answers[c][s].as_str()).filter(|a| !a.is_empty()).unwrap_or("-").to_owned()
        };
        let _ = write!(text, "| {case} | {} |", of("run", true));
        for name in NAMES {
            let (theirs, ours) = (of(name, false), of(name, true));
            let ours = if ours != theirs && theirs != "-" { format!("**{ours}**") } else { ours };
            let _ = write!(text, " {theirs} | {ours} |");
        }
        text.push('\n');
    }
    text
}

fn write_down(table: &str) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (begin, end) = ("<!-- peers: written by UPDATE=1 make test-run -->\n", "<!-- /peers -->");
    let (before, rest) = text.split_once(begin).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    std::fs::write(path, format!("{before}{begin}{table}{end}{after}")).unwrap();
}

fn tinis_remap_of_every_status() {
    let links = Folder::new();
    let tini = links.link("tini");
    let run = |args: &[String], code: u32| {
        Cmd::new(&tini).arg("-s").args(args).args(&["--", "sh", "-c", &format!("exit {code}")]).end_of_output().code().unwrap()
    };
    for code in 0..256 {
        assert_eq!(run(&["-e".into(), code.to_string()], code), 0, "-e {code}");
    }
    for code in (0..256).step_by(17) {
        let others: Vec<String> = (0..256).filter(|c| *c != code).flat_map(|c| ["-e".to_owned(), c.to_string()]).collect();
        assert_eq!(run(&others, code), code as i32, "all but {code}");
    }
    // The variables: mere presence switches on; the level is a number.
    let end = Cmd::new(&tini).env("TINI_SUBREAPER", "").env("TINI_VERBOSITY", "3").args(&["--", "true"]).end().code(0);
    end.said("Registered as child subreaper").said("Spawned child process 'true'");
    Cmd::new(&tini).args(&["--", "true"]).end().code(0).said("zombie reaping won't work");
    Cmd::new(&tini)
        .args(&["-s", "-w", "--", "sh", "-c", "(true &); sleep 0.3"])
        .end()
        .code(0)
        .said("Reaped zombie process with pid=");
    // Permuting: an option behind the program is tini's, as its users know it.
    Cmd::new(&tini).args(&["-s", "sh", "-c", "true"]).end().code(1).said("invalid option -- 'c'");
    Cmd::new(&tini).args(&["-s", "sh", "-c", "exit 3"]).env("POSIXLY_CORRECT", "1").end().code(3);
    Cmd::new(&tini).args(&["-p", "TERM", "--", "true"]).end().code(1).said("Not a valid option for -p: TERM");
}

fn dumb_inits_rewrites() {
    let links = Folder::new();
    let init = links.link("dumb-init");
    for bad in ["", "hello", "hello:world", "15", "15::12", "15:derp", "15:12:1", "15:32", "32:15", "-1:2"] {
        let cmd = Cmd::new(&init).args(&["-r", "1:2", "-r", bad, "echo", "ran"]);
        cmd.end().code(1).said("where <signum> is between 1 and 31").silent("ran");
    }
    let mut kid = Cmd::new(&init).args(&["-r", "10:12", "-r", "12:10", "-r", "1:1", "--rewrite=31:1", "-r", "28:0"]);
    kid = kid.arg(own()).env("GS_CHILD", "catcher");
    let mut kid = kid.ready();
    for (sent, got) in [(10, 12), (12, 10), (1, 1), (31, 1)] {
        kid.signal(sent);
        kid.wait_for(&format!("got {got}"));
    }
    kid.signal(28).term();
    kid.end().code(0).silent("got 28");
    // Verbose: the command's output on stdout, events on stderr.
    let end = Cmd::new(&init).args(&["-v", "echo", "hi"]).env("DUMB_INIT_SETSID", "0").end().code(0).said("hi");
    end.said("Child spawned with PID").said("exited with exit status 0").said("Goodbye.");
    Cmd::new(&init).args(&["echo", "hi"]).env("DUMB_INIT_DEBUG", "1").end().code(0).said("[dumb-init]").said("setsid complete");
    // Not in session mode: the wrapper's own group.
    let leader = |args: &[&str]| Cmd::new(&init).args(args).arg(own()).env("GS_CHILD", "leader").end().code(0);
    leader(&[]).said("group true session true");
    leader(&["-c"]).said("group false session false");
    // The stop signals can be rewritten as well; the wrapper is stopped all the same.
    let mut kid = Cmd::new(&init).args(&["-r", "20:10"]).arg(own()).env("GS_CHILD", "catcher").ready();
    kid.signal(libc::SIGTSTP);
    kid.wait_for("got 10");
    let pid = kid.pid();
    until("stopped", || is_stopped(pid));
    kid.signal(libc::SIGCONT);
    kid.wait_for("got 18");
    kid.term();
    kid.end().code(0);
}

fn timeouts_own_statuses() {
    let links = Folder::new();
    let ours = links.link("timeout");
    let theirs = program("timeout");
    let stubborn = "trap '' TERM; while :; do sleep 0.05; done";
    let cases: [(&[&str], i32); 15] = [
        (&["0.2", "sleep", "10"], 124),
        (&["-s", "INT", ".2", "sleep", "10"], 124),
        (&["--signal=KILL", "0.2", "sleep", "10"], 137),
        (&["--preserve-status", "0.2s", "sleep", "10"], 143),
        (&["-k", "0.2", "1.5", "sh", "-c", stubborn], 137),
        (&["--foreground", "0.2", "sleep", "10"], 124),
        (&["--foreground", "-k0.2", "1.5", "sh", "-c", stubborn], 137),
        (&["0", "sh", "-c", "sleep 0.3; exit 3"], 3),
        (&["1d", "false"], 1),
        (&["5", "sh", "-c", "kill -USR1 $$"], 138),
        (&["5x", "true"], 125),
        (&["-s", "NOPE", "5", "true"], 125),
        (&["--kill", "1", "5", "true"], 0),
        (&["5"], 125),
        (&["--bogus", "5", "true"], 125),
    ];
    for (args, code) in cases {
        for program in std::iter::once(&ours).chain(theirs.as_ref()) {
            assert_eq!(Cmd::new(program).args(args).end_of_output_as_shell(), code, "{} {args:?}", program.display());
        }
    }
    Cmd::new(&ours).args(&["-v", "0.2", "sleep", "10"]).end().code(124).said("sending signal TERM to command");
    // The group is timed out, not the command alone.
    let mark = mark();
    Cmd::new(&ours).args(&["0.3", "sh", "-c", "sleep 1000 & sleep 1000; true"]).env("GS_MARK", &mark).end_of_output();
    assert_eq!(end_marked(&mark), 0);
    // What kills timeout and leaves the command running is passed on.
    let mut kid = Cmd::new(&ours).args(&["60", &own()]).env("GS_CHILD", "catcher").ready();
    for signo in [libc::SIGUSR1, libc::SIGUSR2, libc::SIGPIPE, libc::SIGRTMIN()] {
        kid.signal(signo);
        kid.wait_for(&format!("got {signo}"));
    }
    kid.term();
    kid.end().code(0).said("got 15");
}
