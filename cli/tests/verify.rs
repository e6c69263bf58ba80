//! `graceshut verify` against real services, most of which misbehave in one exact way.
//!
//! The services are in `services/`, in Python with its standard library only: the judge must not depend on what it judges.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::Value;
use std::collections::HashSet;
use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// No check here takes a quarter of this.
const LIMIT: Duration = Duration::from_secs(60);

/// A free port that no other test of this run was given.
fn free_port() -> u16 {
    static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    loop {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if GIVEN.lock().unwrap().get_or_insert_default().insert(port) {
            return port;
        }
    }
}

/// A folder of its own for each check, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("verify-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap_or_default()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// One check: its options, and what came of it.
struct Check {
    folder: Folder,
    port: u16,
    options: Vec<String>,
    env: Vec<(String, String)>,
}

impl Check {
    /// With no URLs.
    fn bare() -> Check {
        Check { folder: Folder::new(), port: free_port(), options: Vec::new(), env: Vec::new() }
    }

    /// With a readiness URL and a load for half a second.
    fn loaded() -> Check {
        let check = Check::bare();
        let (ready, load) = (check.url("ready"), check.url("work"));
        check.with(&["--ready", &ready, "--load", &load, "--after", "500ms"])
    }

    /// With one connection that pauses long enough for everything to arrive in between.
    fn one_connection() -> Check {
        Check::loaded().with(&["--connections", "1", "--pause", "60ms", "--after", "1s"])
    }

    fn with(mut self, options: &[&str]) -> Check {
        // A later option replaces an earlier one of its name.
        for pair in options.chunks(2) {
            if let Some(at) = self.options.iter().position(|o| o == pair[0] && o != "--load") {
                self.options.drain(at..at + 2);
            }
            self.options.extend(pair.iter().map(|s| (*s).to_owned()));
        }
        self
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    /// The same, over TLS.
    fn https(mut self) -> Check {
        for option in &mut self.options {
            *option = option.replace("http://", "https://");
        }
        self.env.push(("TLS".to_owned(), service("tls.pem")));
        self
    }

    fn spawn(&self, command: &[&str]) -> Child {
        let out = |name| File::create(self.folder.0.join(name)).unwrap();
        Command::new(env!("CARGO_BIN_EXE_graceshut"))
            .arg("verify")
            .args(&self.options)
            .args(["--json", &self.folder.path("out.json"), "--"])
            .args(command)
            .env_remove("GRACESHUT_REPORT")
            .envs(self.env.iter().cloned())
            .stdout(out("stdout"))
            .stderr(out("stderr"))
            .spawn()
            .unwrap()
    }

    /// Runs the check on any command.
    fn on(self, command: &[&str]) -> Done {
        let child = self.spawn(command);
        self.done(child)
    }

    /// Runs the check on a service of ours: its file, then the port and these arguments.
    fn service(self, file: &str, args: &[&str]) -> Done {
        let path = service(file);
        let port = self.port.to_string();
        let command = [&["python3", path.as_str(), port.as_str()], args].concat();
        self.on(&command)
    }

    fn done(self, mut child: Child) -> Done {
        let code = wait(&mut child, &self.folder);
        let json = self.folder.text("out.json");
        Done {
            code,
            verdict: serde_json::from_str(&json).unwrap_or(Value::Null),
            json,
            stdout: self.folder.text("stdout"),
            stderr: self.folder.text("stderr"),
            port: self.port,
            folder: self.folder,
        }
    }
}

fn service(file: &str) -> String {
    format!("{}/tests/services/{file}", env!("CARGO_MANIFEST_DIR"))
}

/// The exit code, in bounded time.
fn wait(child: &mut Child, folder: &Folder) -> i32 {
    let until = Instant::now() + LIMIT;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().expect("graceshut itself was killed by a signal");
        }
        if Instant::now() > until {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("graceshut hangs; stderr: {}", folder.text("stderr"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

struct Done {
    code: i32,
    json: String,
    verdict: Value,
    stdout: String,
    stderr: String,
    port: u16,
    folder: Folder,
}

impl Done {
    fn at(&self, pointer: &str) -> &Value {
        self.verdict.pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in the verdict; {}", self.all()))
    }

    fn number(&self, pointer: &str) -> i64 {
        self.at(pointer).as_i64().unwrap_or_else(|| panic!("{pointer} is no number; {}", self.all()))
    }

    fn requests(&self, key: &str) -> i64 {
        self.number(&format!("/requests/{key}"))
    }

    fn failures(&self) -> Vec<&str> {
        self.at("/failures").as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect()
    }

    fn all(&self) -> String {
        format!("code {}\n{}\n{}\n{}", self.code, self.stdout, self.stderr, self.json)
    }

    fn last_line(&self) -> &str {
        self.stdout.lines().next_back().unwrap_or_default()
    }

    /// What holds of every verdict.
    fn sound(self) -> Done {
        assert_eq!(self.requests("sent"), self.requests("answered") + self.requests("lost"), "{}", self.all());
        let parts = ["answered_2xx", "refused_503", "answered_other"].map(|k| self.requests(k));
        assert_eq!(self.requests("answered"), parts.iter().sum::<i64>(), "{}", self.all());
        assert_eq!(self.at("/passed"), self.failures().is_empty());
        assert!(!self.stdout.contains('\x1b'), "colours without a terminal");
        self
    }

    fn passes(self) -> Done {
        assert_eq!(self.code, 0, "{}", self.all());
        assert_eq!(self.failures(), Vec::<&str>::new());
        assert!(self.last_line().starts_with("PASS  "), "{}", self.all());
        self.sound()
    }

    /// Fails with exactly these failures, each given by how it begins.
    fn fails(self, with: &[&str]) -> Done {
        assert_eq!(self.code, 1, "{}", self.all());
        let failures = self.failures();
        let same = failures.len() == with.len() && failures.iter().zip(with).all(|(f, w)| f.starts_with(w));
        assert!(same, "expected {with:?}; {}", self.all());
        assert_eq!(self.last_line(), format!("FAIL  {}", failures.join("; ")));
        self.sound()
    }

    /// Gives no verdict, and a message with each of these in it.
    fn gives_up(self, saying: &[&str]) -> Done {
        assert_eq!(self.code, 2, "{}", self.all());
        assert_eq!(self.stdout, "");
        assert_eq!(self.json, "");
        for text in saying {
            assert!(self.stderr.contains(text), "{text:?} is not said; {}", self.all());
        }
        assert!(TcpStream::connect(("127.0.0.1", self.port)).is_err(), "the service is still there");
        self
    }
}

fn is_alive(pid: i64, cmd: &str) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ").trim_end() == cmd
}

// Services that do well.

#[test]
fn graceful_service_passes_and_both_sides_count_the_same() {
    let check = Check::loaded();
    let second = check.url("other?x=1");
    let check = check.with(&["--load", &second]);
    let served = check.folder.path("served");
    let done = check.service("graceful.py", &[&served]).passes();
    assert_eq!(done.requests("lost"), 0);
    assert_eq!(done.requests("answered_2xx"), done.folder.text("served").parse::<i64>().unwrap());
    assert_eq!(done.requests("refused_503"), 16, "each connection is told once");
    assert_eq!(done.at("/load_urls").as_array().unwrap().len(), 2);
    assert_eq!((done.at("/signal"), done.number("/grace_us")), (&"TERM".into(), 10_000_000));
    // It goes on serving for 200 ms after readiness turned red.
    let times = ["readiness_red", "last_accept", "last_answer", "exit"].map(|k| done.number(&format!("/timing_us/{k}")));
    let [red, accept, answer, exit] = times;
    assert!(red < accept && accept <= exit && answer <= exit, "{times:?}");
    assert!((200_000..5_000_000).contains(&exit) && accept > 150_000 && answer > 200_000, "{times:?}");
    assert!(done.number("/timing_us/signal_after_start") - done.number("/timing_us/ready") >= 500_000);
    assert_eq!((done.at("/exit/code"), done.at("/exit/signal")), (&0.into(), &Value::Null));
    assert_eq!(done.at("/exit/within_grace"), true);
    assert_eq!(done.at("/report"), &Value::Null);
    // A handler takes 50 ms; a percentile may be 1/64 too high, never too low.
    let latency = ["p50", "p99", "max"].map(|k| done.number(&format!("/latency_us/{k}")));
    assert!(latency[0] >= 50_000 && latency.is_sorted() && latency[2] < 5_000_000, "{latency:?}");
}

#[test]
fn closing_the_listener_first_loses_nothing() {
    let done = Check::loaded().service("listener_first.py", &[]).passes();
    assert!((1..=16).contains(&done.requests("refused_before_send")), "{}", done.all());
    assert_eq!(done.requests("answered"), done.requests("answered_2xx"));
}

#[test]
fn status_128_plus_the_signal_is_a_good_ending() {
    let done = Check::loaded().service("listener_first.py", &["143"]).passes();
    assert_eq!(done.number("/exit/code"), 143);
}

#[test]
fn chunked_answers_are_complete_at_their_end() {
    let done = Check::one_connection().service("scripted.py", &["chunked"]).passes();
    assert!(done.requests("answered_2xx") > 4);
}

#[test]
fn ready_by_word_without_load() {
    let script = "import time; print('already?'); print('Server is READY.', flush=True); time.sleep(60)";
    let done = Check::bare().with(&["--after", "50ms"]).on(&["python3", "-c", script]).passes();
    assert_eq!((done.requests("sent"), done.number("/connections")), (0, 0));
    assert_eq!(done.at("/exit/signal_name"), "TERM");
    assert_eq!((done.at("/ready_url"), done.at("/timing_us/readiness_red")), (&Value::Null, &Value::Null));
    assert!(done.stderr.contains("| already?\n| Server is READY.\n"), "{}", done.stderr);
}

#[test]
fn ready_url_without_load() {
    let check = Check::bare();
    let ready = check.url("ready");
    let check = check.with(&["--ready", &ready, "--after", "100ms", "--signal", "sigint"]);
    // SIGINT is KeyboardInterrupt to Python, which dies by it.
    let done = check.service("abrupt.py", &[]).passes();
    assert_eq!((done.requests("sent"), done.at("/signal")), (0, &"INT".into()));
    assert_eq!(done.number("/exit/signal"), 2);
    assert!(done.number("/timing_us/readiness_red") <= done.number("/timing_us/exit"));
}

#[test]
fn load_url_without_ready_url() {
    let check = Check::bare();
    let load = check.url("work");
    let done = check.with(&["--load", &load, "--after", "300ms"]).service("listener_first.py", &[]).passes();
    assert!(done.requests("answered_2xx") > 0);
    assert_eq!(done.at("/timing_us/readiness_red"), &Value::Null);
}

// Services that lose something.

#[test]
fn dying_at_once_loses_what_is_in_flight() {
    let done = Check::loaded().service("abrupt.py", &[]).fails(&[""]);
    assert!(done.failures()[0].ends_with(" lost"), "{}", done.all());
    // A client can lose the request it had in flight, and one more on a connection that nobody came to accept.
    assert!((1..=32).contains(&done.requests("lost")), "{}", done.all());
    assert_eq!(done.requests("lost_before_signal"), 0);
    assert_eq!((done.number("/exit/signal"), done.at("/exit/signal_name")), (15, &"TERM".into()));
    let errors = done.at("/requests/errors").as_array().unwrap();
    assert_eq!(errors.len() as i64, done.requests("lost").min(10));
    assert!(errors.iter().all(|e| e["at_us"].as_i64().unwrap() > 0), "{}", done.all());
    assert!(errors.iter().any(|e| e["reused_connection"] == true), "{}", done.all());
}

#[test]
fn over_tls_nothing_lost_is_a_pass_and_dying_at_once_is_not() {
    let check = Check::loaded().https();
    let served = check.folder.path("served");
    let done = check.service("graceful.py", &[&served]).passes();
    assert_eq!((done.requests("lost"), done.requests("refused_503")), (0, 16), "{}", done.all());
    assert_eq!(done.requests("answered_2xx"), done.folder.text("served").parse::<i64>().unwrap());
    assert!(done.requests("answered_2xx") > 100, "connections are used again: {}", done.all());
    let done = Check::loaded().https().service("abrupt.py", &[]).fails(&[""]);
    assert!((1..=32).contains(&done.requests("lost")), "{}", done.all());
    // Who is asked in plain HTTP and speaks TLS is not ready.
    let mut plain = Check::loaded().with(&["--ready-timeout", "1s"]);
    plain.env.push(("TLS".to_owned(), service("tls.pem")));
    plain.service("abrupt.py", &[]).gives_up(&["was not ready within 1 s"]);
}

#[test]
fn ignoring_the_signal_is_killed_at_grace() {
    let done = Check::loaded().with(&["--grace", "700ms"]).service("ignores_term.py", &[]);
    assert_eq!(done.code, 1, "{}", done.all());
    let done = done.sound();
    assert!(done.failures().iter().any(|f| f.starts_with("killed at grace")), "{}", done.all());
    assert_eq!((done.at("/exit/within_grace"), done.at("/exit/killed_at_grace")), (&false.into(), &true.into()));
    assert_eq!(done.number("/exit/signal"), 9);
    assert!((700_000..5_000_000).contains(&done.number("/timing_us/exit")), "{}", done.all());
}

#[test]
fn a_request_in_flight_at_the_kill_is_lost() {
    let check = Check::one_connection().with(&["--grace", "500ms"]);
    let done = check.service("scripted.py", &["stall"]).fails(&["1 request lost", "killed at grace"]);
    assert_eq!((done.requests("sent"), done.requests("answered_2xx")), (5, 4));
    assert_eq!(done.requests("cut_off_idle_race"), 0, "it had been read");
}

#[test]
fn non_zero_status_fails() {
    let done = Check::loaded().service("listener_first.py", &["3"]).fails(&["exit status 3"]);
    assert_eq!(done.number("/exit/code"), 3);
    assert_eq!(done.at("/exit/within_grace"), true);
}

#[test]
fn ending_before_the_signal_fails() {
    let done = Check::one_connection()
        .service("scripted.py", &["die"])
        .fails(&["1 request lost before TERM", "it ended by itself (status 7) before TERM"]);
    assert_eq!(done.at("/timing_us/signal_after_start"), &Value::Null);
    assert_eq!(done.at("/requests/errors/0/at_us"), &Value::Null);
}

// The judge itself: exactly one request treated badly must be counted as exactly that.

fn one_lost(mode: &str, what: &str, idle_race: i64) {
    let done = Check::one_connection().service("scripted.py", &[mode]).fails(&["1 request lost before TERM"]);
    assert_eq!((done.requests("lost"), done.requests("cut_off_idle_race")), (1, idle_race), "{}", done.all());
    assert_eq!(done.requests("sent"), done.requests("answered_2xx") + 1);
    let error = done.at("/requests/errors/0");
    assert!(error["what"].as_str().unwrap().starts_with(what), "{}", done.all());
    assert!(error["at_us"].as_i64().unwrap() < 0, "{}", done.all());
    // The fifth request is treated badly, or the one after it left unread; they alternate, beginning with a GET.
    let (number, method) = if mode == "unread" { (6, "POST") } else { (5, "GET") };
    assert!(error["request_id"].as_str().unwrap().ends_with(&format!("-0-{number}")), "{}", done.all());
    assert_eq!(error["method"], method);
}

#[test]
fn cut_in_the_body_is_lost() {
    one_lost("cut-body", "connection closed in the body, after 4 of 9 bytes", 0);
}

#[test]
fn reset_in_the_body_is_lost() {
    one_lost("reset-body", "connection reset", 0);
}

#[test]
fn read_and_never_answered_is_lost() {
    one_lost("no-answer", "connection closed before the first byte of the answer", 0);
}

#[test]
fn left_unread_on_an_idle_connection_is_lost_in_the_idle_race() {
    one_lost("unread", "connection reset before the first byte of the answer", 1);
}

#[test]
fn an_answer_that_is_no_http_is_lost() {
    one_lost("garbage", "answer not understood: its Content-Length is", 0);
}

#[test]
fn idle_connections_closed_in_time_lose_nothing() {
    let check = Check::one_connection().with(&["--pause", "150ms", "--after", "1500ms"]);
    let done = check.service("scripted.py", &["silent-close"]).passes();
    let (refused, answered) = (done.requests("refused_before_send"), done.requests("answered_2xx"));
    assert!(answered > 3 && (answered - 1..=answered).contains(&refused), "{}", done.all());
}

#[test]
fn errors_before_and_after_the_signal_fail() {
    let done =
        Check::one_connection().service("scripted.py", &["error"]).fails(&["1 request answered 5xx (like 500) before TERM"]);
    assert_eq!((done.requests("errors_5xx_before_signal"), done.requests("answered_other")), (1, 1));
    let done = Check::loaded().service("late_error.py", &[]).fails(&[""]);
    assert!(done.failures()[0].contains("answered 5xx (like 500) after TERM"), "{}", done.all());
    assert_eq!(done.requests("errors_5xx_after_signal"), done.requests("answered_other"));
}

#[test]
fn a_server_without_post_is_told_about_the_option() {
    let check = Check::bare();
    let (load, port) = (check.url(""), check.port.to_string());
    let done = check.with(&["--load", &load, "--after", "300ms", "--connections", "2"]).on(&[
        "python3",
        "-m",
        "http.server",
        "--bind",
        "127.0.0.1",
        &port,
    ]);
    assert_eq!(done.code, 1, "{}", done.all());
    assert!(done.failures()[0].contains("use --post-share 0%"), "{}", done.all());
}

// What is left behind.

#[test]
fn children_left_behind_are_found_and_ended() {
    for (how, cmd) in [("group", "sleep 301"), ("session", "sleep 302"), ("orphan", "sleep 303")] {
        let done = Check::loaded().service("leaves_child.py", &[how]).fails(&["1 process left behind ("]);
        let children = done.at("/left_behind/children").as_array().unwrap();
        assert_eq!((children.len(), &children[0]["cmd"]), (1, &cmd.into()), "{how}: {}", done.all());
        assert!(!is_alive(children[0]["pid"].as_i64().unwrap(), cmd), "{how}: still alive");
    }
}

#[test]
fn a_port_left_behind_is_found() {
    let done = Check::loaded().service("leaves_child.py", &["port"]);
    let port = format!("port {} still takes connections", done.port);
    let done = done.fails(&["1 process left behind (", &port]);
    assert_eq!(done.at("/left_behind/ports"), &Value::from(vec![done.port]));
    assert!(TcpStream::connect(("127.0.0.1", done.port)).is_err(), "its holder was not ended");
}

#[test]
fn a_child_that_goes_by_itself_is_not_left_behind() {
    Check::loaded().service("leaves_child.py", &["brief"]).passes();
}

// The service's own report.

#[test]
fn the_report_is_embedded_verbatim_and_shown() {
    let done = Check::loaded().service("listener_first.py", &["0", "report"]).passes();
    assert_eq!(done.at("/report/phases/0/hooks/0/name"), "deregister");
    assert!(done.json.contains("\"outcome\": \"clean\", \"a_key_of_the_future\": 1.50\n"), "not verbatim: {}", done.json);
    for line in ["python, reason TERM, grace 60 s, clean", "announce      2.425 s  12 µs", "it counts on a grace of 60 s"] {
        assert!(done.stdout.contains(line), "no {line:?}; {}", done.stdout);
    }
}

#[test]
fn the_report_goes_where_it_is_asked_for() {
    let check = Check::loaded();
    let path = check.folder.path("report-%p.json");
    let mut check = check.with(&["--report", &path]);
    check.env.push(("GRACESHUT_REPORT".into(), "none".into()));
    // The service of the test knows nothing of %p and takes it as it is.
    let done = check.service("listener_first.py", &["0", "report"]).passes();
    assert!(done.folder.text("report-%p.json").contains("a_key_of_the_future"));

    let mut check = Check::loaded();
    let path = check.folder.path("from-env.json");
    check.env.push(("GRACESHUT_REPORT".into(), path.clone()));
    let done = check.service("listener_first.py", &["0", "report"]).passes();
    assert!(done.folder.text("from-env.json").contains("a_key_of_the_future"));
    assert_eq!(done.at("/report/graceshut"), 1);
}

#[test]
fn an_old_report_is_not_taken_for_a_new_one() {
    let mut check = Check::loaded();
    let path = check.folder.path("old.json");
    fs::write(&path, r#"{"graceshut":1}"#).unwrap();
    check.env.push(("GRACESHUT_REPORT".into(), path));
    let done = check.service("listener_first.py", &[]).passes();
    assert_eq!(done.at("/report"), &Value::Null);
}

// No verdict.

#[test]
fn never_ready() {
    Check::loaded()
        .with(&["--ready-timeout", "700ms"])
        .service("never_ready.py", &[])
        .gives_up(&["was not ready within 700 ms", "never answered 2xx"]);
}

#[test]
fn ends_before_it_is_ready() {
    let script = "import sys; print('warming up', file=sys.stderr); sys.exit('no database')";
    Check::loaded()
        .on(&["python3", "-c", script])
        .gives_up(&["python3 ended before it was ready (status 1)", "last lines:\n    warming up\n    no database"]);
}

#[test]
fn command_that_cannot_be_started() {
    Check::loaded().on(&["no-such-command-7f"]).gives_up(&["no-such-command-7f", "command not found", "127"]);
    let folder = Folder::new();
    fs::write(folder.0.join("plain"), "x").unwrap();
    Check::loaded().on(&[&folder.path("plain")]).gives_up(&["plain: not executable", "126"]);
}

#[test]
fn occupied_port_names_its_holder() {
    let check = Check::loaded();
    let listener = TcpListener::bind(("127.0.0.1", check.port)).unwrap();
    let marker = check.folder.path("started");
    let child = check.spawn(&["touch", &marker]);
    let done = check.done(child);
    drop(listener);
    let (port, pid) = (format!("port {} ", done.port), format!("by process {} ", std::process::id()));
    assert!(!Path::new(&marker).exists(), "it was started all the same");
    done.gives_up(&[&port, "taken already", &pid]);
}

#[test]
fn usage_errors_name_what_is_wrong() {
    for (options, saying) in [
        (&["--after", "2"][..], "write a number and a unit"),
        (&["--grace", "0s"], "longer than zero"),
        (&["--signal", "TERMINATE"], "TERMINATE"),
        (&["--load", "ftp://127.0.0.1/"], "write it like http"),
        (&["--post-share", "101%"], "101%"),
        (&["--connections", "0"], "--connections"),
        (&["--json", "/no/such/folder/x.json"], "--json"),
    ] {
        Check::bare().with(options).on(&["true"]).gives_up(&[saying]);
    }
}

#[test]
fn help_teaches() {
    for (args, saying) in [(&["--help"][..], "graceshut verify --ready"), (&["verify", "--help"], "Exit status:")] {
        let output = Command::new(env!("CARGO_BIN_EXE_graceshut")).args(args).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success());
        assert!(String::from_utf8(output.stdout).unwrap().contains(saying));
    }
}

#[test]
fn interrupted_it_takes_the_service_with_it() {
    let check = Check::loaded().with(&["--after", "50s"]);
    let (path, port) = (service("leaves_child.py"), check.port);
    let child = check.spawn(&["python3", &path, &port.to_string(), "session"]);
    let until = Instant::now() + LIMIT;
    while !check.folder.text("stderr").contains("| ready") {
        assert!(Instant::now() < until, "never ready");
        std::thread::sleep(Duration::from_millis(10));
    }
    // SAFETY: kill takes two integers; the child is not reaped yet, so the pid is its own.
    assert_eq!(unsafe { libc::kill(child.id() as i32, libc::SIGTERM) }, 0);
    let done = check.done(child);
    assert_eq!(done.code, 143, "{}", done.all());
    assert!(done.stderr.contains("stopped by TERM"), "{}", done.all());
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "the service is still there");
    let child = done.stderr.lines().find_map(|l| l.strip_prefix("| child ")).unwrap().parse().unwrap();
    assert!(!is_alive(child, "sleep 302"), "its child in a session of its own is still there");
}
