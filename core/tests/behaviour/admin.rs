//! The admin endpoint and the preStop (spec 2.3, 7.4), and the two opt-in triggers, on real processes.

use std::io::{ErrorKind as IoKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Instant;

use graceshut::{AdminAt, ErrorKind, Token};
use serde_json::Value;

use crate::harness::*;

crate::suite!("admin",
tests: [
    r2_3_it_answers_while_every_thread_of_the_program_is_stuck,
    r2_3_readyz_is_red_from_the_trigger_on_and_before_ready,
    r2_3_it_serves_during_the_stop,
    r7_4_prestop_returns_when_drained_and_the_term_is_no_repeat,
    r7_4_without_a_term_the_plan_goes_on_for_its_reserves,
    r7_4_a_prestop_while_stopping_answers_with_the_state,
    r7_4_a_second_signal_after_the_term_expedites,
    r7_4_int_and_stop_during_the_wait,
    r2_3_a_far_peer_needs_the_token,
    r2_3_the_unix_socket_is_the_owners_and_goes_with_it,
    r2_3_an_address_in_use_is_named,
    r2_3_what_is_asked_wrongly_is_told_so,
    r2_3_a_slow_client_holds_nobody_up,
    r2_3_a_thousand_connections,
    r2_3_without_a_free_descriptor_it_still_answers,
    r2_3_a_host_that_closes_every_descriptor_loses_the_endpoint_only,
    r2_3_a_number_that_was_taken_is_left_alone,
    r10_1_a_forked_child_serves_nothing_and_holds_nothing,
    r2_3_idle_it_never_wakes,
    r2_1_uninstall_ends_it,
    r2_3_the_parents_death_is_a_trigger,
    r2_3_the_end_of_stdin_is_a_trigger_and_nothing_is_read,
],
children: [
    admin_service, admin_stuck, admin_held, admin_draining, admin_slow, admin_taken, admin_emfile, admin_daemon,
    admin_reused, admin_forking, admin_uninstalling, admin_orphan, admin_stdin, admin_stdin_data,
]);

const TOKEN: &str = "0123456789abcdef";

/// At any free port, or where the test says.
fn options(n: u64) -> Options {
    let admin = match arg("GS_ADMIN").as_str() {
        "" => AdminAt::Tcp("127.0.0.1:0".parse().unwrap()),
        at => at.strip_prefix("unix:").map_or_else(|| AdminAt::Tcp(at.parse().unwrap()), |p| AdminAt::Unix(PathBuf::from(p))),
    };
    let admin_token = Some(arg("GS_TOKEN")).filter(|t| !t.is_empty()).map(|t| Token::new(&t).unwrap());
    Options { admin: Some(admin), admin_token, ..grace(n) }
}

fn at_of(gs: &Runtime) {
    say(&format!("at {}", gs.admin_address().unwrap()));
}

fn address(kid: &mut Running) -> String {
    kid.wait_for("at ").trim_start_matches("at ").to_owned()
}

/// Sends `text` and reads all that comes back.
fn send(at: &str, text: &str) -> std::io::Result<String> {
    let mut answer = Vec::new();
    let mut read = |mut s: Box<dyn ReadWrite>| {
        s.write_all(text.as_bytes())?;
        s.read_to_end(&mut answer)
    };
    match at.strip_prefix("unix:") {
        Some(path) => {
            let s = UnixStream::connect(path)?;
            s.set_read_timeout(Some(LIMIT))?;
            read(Box::new(s))?;
        }
        None => {
            let s = TcpStream::connect(at)?;
            s.set_read_timeout(Some(LIMIT))?;
            read(Box::new(s))?;
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

/// Status and body.
#[track_caller]
fn ask(at: &str, line: &str) -> (u16, String) {
    let text = send(at, &format!("{line} HTTP/1.1\r\nHost: x\r\n\r\n")).unwrap_or_else(|e| panic!("{line}: {e}"));
    parts(&text)
}

#[track_caller]
fn parts(text: &str) -> (u16, String) {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.trim_end().to_owned())
}

#[track_caller]
fn status(at: &str) -> Value {
    let (code, body) = ask(at, "GET /status");
    assert_eq!(code, 200);
    serde_json::from_str(&body).unwrap_or_else(|e| panic!("{e}: {body}"))
}

// --- stuck, ready, stopping ---------------------------------------------------

fn admin_stuck() {
    let gs = install(options(3000)).unwrap();
    hanging(&gs, "flush", "stuck");
    at_of(&gs);
    ready();
    // Neither sleeps nor waits: no thread of the program ever comes back to anything.
    loop {
        std::hint::spin_loop();
    }
}

fn r2_3_it_answers_while_every_thread_of_the_program_is_stuck() {
    let mut kid = Kid::new("admin_stuck").start();
    let at = address(&mut kid);
    kid.wait_for("ready");
    assert_eq!(ask(&at, "GET /livez"), (200, "ok".to_owned()));
    assert_eq!(ask(&at, "HEAD /livez"), (200, String::new()));
    let before = status(&at);
    assert_eq!((&before["state"], &before["ready"]), (&"armed".into(), &true.into()));
    assert_eq!((&before["grace_us"], &before["grace_origin"]), (&3_000_000.into(), &"code".into()));
    assert_eq!((&before["reason"], &before["remaining_us"]), (&Value::Null, &Value::Null));
    assert!(before["handler"].as_array().unwrap().iter().any(|h| h["signal"] == "TERM" && h["state"] == "ours"), "{before}");
    kid.term();
    kid.wait_for("stuck hangs");
    let during = status(&at);
    assert_eq!((&during["state"], &during["phase"]), (&"stopping".into(), &"flush".into()));
    assert_eq!(during["reason"]["signal"], "TERM");
    assert_eq!(during["running"][0]["name"], "stuck");
    let left = during["remaining_us"].as_u64().unwrap();
    assert!(left > 0 && left < 2_900_000, "{during}");
    assert_eq!(ask(&at, "GET /livez").0, 200);
    kid.end().code(143).within(ms(2850), ms(3000));
}

fn admin_held() {
    let gs = install(Options { hold: Some(true), ..options(3000) }).unwrap();
    at_of(&gs);
    ready();
    // The parent says when.
    until("told to go on", || std::fs::read_to_string(PathBuf::from(arg("GS_FOLDER")).join("go")).is_ok_and(|t| t.len() > 1));
    gs.ready().unwrap();
    say("ready for good");
    serve(&gs);
}

fn r2_3_readyz_is_red_from_the_trigger_on_and_before_ready() {
    let folder = folder();
    let mut kid = Kid::new("admin_held").env("GS_FOLDER", folder.to_str().unwrap()).start();
    let at = address(&mut kid);
    assert_eq!(ask(&at, "GET /readyz"), (503, "not ready".to_owned()));
    std::fs::write(folder.join("go"), "go").unwrap();
    kid.wait_for("ready for good");
    assert_eq!(ask(&at, "GET /readyz"), (200, "ready".to_owned()));
    kid.term();
    kid.end().code(0);
}

impl Running {
    fn term_and(mut self, f: impl FnOnce(&mut Running)) -> Ended {
        self.term();
        f(&mut self);
        self.end()
    }
}

fn admin_slow() {
    let gs = install(options(8000)).unwrap();
    gs.hook("drain", "slow")
        .run(|ctx| {
            say("draining");
            ctx.sleep(ms(600))
        })
        .unwrap();
    gs.hook("final", "last")
        .run(|ctx| {
            say("the last phase");
            ctx.sleep(ms(300))
        })
        .unwrap();
    at_of(&gs);
    serve(&gs);
}

fn r2_3_it_serves_during_the_stop() {
    let mut kid = Kid::new("admin_slow").start();
    let at = address(&mut kid);
    kid.wait_for("ready");
    assert_eq!(ask(&at, "GET /readyz").0, 200);
    kid.term_and(|kid| {
        kid.wait_for("draining");
        assert_eq!(ask(&at, "GET /readyz").0, 503);
        assert_eq!(ask(&at, "GET /livez").0, 200);
        assert_eq!(status(&at)["phase"], "drain");
        kid.wait_for("the last phase");
        assert_eq!(status(&at)["phase"], "final");
        assert_eq!(ask(&at, "GET /livez").0, 200);
    })
    .code(0);
    assert_eq!(TcpStream::connect(&at).unwrap_err().kind(), IoKind::ConnectionRefused);
}

// --- preStop ---------------------------------------------------------------------

fn admin_draining() {
    let repeat = if arg("GS_REPEAT").is_empty() { Repeat::Expedite } else { Repeat::Interactive };
    let gs = install(Options { repeat: Some(repeat), ..options(arg("GS_GRACE").parse().unwrap_or(20_000)) }).unwrap();
    gs.hook("drain", "slow")
        .run(|ctx| {
            say("draining");
            let r = ctx.sleep(ms(700));
            say("drained");
            r
        })
        .unwrap();
    let long = arg("GS_FLUSH").parse().unwrap_or(0);
    gs.hook("flush", "f")
        .run(move |ctx| {
            say("flushing");
            let r = ctx.sleep(ms(long));
            say("flushed");
            r
        })
        .unwrap();
    at_of(&gs);
    if !arg("GS_STOP").is_empty() {
        let gs = gs.clone();
        std::thread::spawn(move || {
            assert!(gs.wait_drained(None).unwrap());
            // The answer to who asked has a moment to leave.
            std::thread::sleep(ms(100));
            gs.stop("enough", None).unwrap()
        });
    }
    serve(&gs);
}

fn prestop_kinds(end: &Ended) -> Vec<(String, String)> {
    let report = end.report();
    let list = report["triggers"].as_array().unwrap().iter();
    list.map(|t| (t["kind"].as_str().unwrap().to_owned(), t["action"].as_str().unwrap().to_owned())).collect()
}

fn pair(kind: &str, action: &str) -> (String, String) {
    (kind.to_owned(), action.to_owned())
}

fn r7_4_prestop_returns_when_drained_and_the_term_is_no_repeat() {
    for repeat in ["", "interactive"] {
        let mut kid = Kid::new("admin_draining").env("GS_REPEAT", repeat).start();
        let at = address(&mut kid);
        kid.wait_for("ready");
        let start = Instant::now();
        let (first, second) = std::thread::scope(|s| {
            let also = s.spawn(|| ask(&at, "GET /prestop"));
            (ask(&at, "POST /prestop"), also.join().unwrap())
        });
        let took = start.elapsed();
        assert!(took >= ms(690) && took < ms(700) + SLACK, "{took:?}");
        kid.wait_for("drained");
        for (code, body) in [first, second] {
            let state: Value = serde_json::from_str(&body).unwrap();
            assert_eq!((code, &state["waiting_for_signal"], &state["state"]), (200, &true.into(), &"stopping".into()));
            assert_eq!((&state["reason"]["kind"], &state["ready"]), (&"prestop".into(), &false.into()));
        }
        let again = Instant::now();
        assert_eq!(ask(&at, "POST /prestop").0, 200);
        assert!(again.elapsed() < SLACK, "what is over is answered at once");
        assert!(kid.is_alive() && !kid.said.iter().any(|l| l == "flushing"));
        let end = kid.term_and(|kid| _ = kid.wait_for("flushed")).code(0);
        assert_eq!(end.report()["outcome"], "clean");
        let kinds = prestop_kinds(&end);
        assert_eq!(kinds[0], pair("prestop", "started"));
        assert_eq!(kinds.last(), Some(&pair("signal", "recorded")));
        assert_eq!(end.report()["reason"]["kind"], "prestop");
    }
}

fn r7_4_without_a_term_the_plan_goes_on_for_its_reserves() {
    let mut kid = Kid::new("admin_draining").env("GS_GRACE", "3000").start();
    let at = address(&mut kid);
    kid.wait_for("ready");
    let start = Instant::now();
    assert_eq!(ask(&at, "POST /prestop").0, 200);
    let end = kid.end().code(0).said("flushed");
    // D is at 2.9 s, and flush is promised 20 % of it.
    let took = start.elapsed();
    assert!(took >= ms(2300) && took < ms(2320) + SLACK, "{took:?}");
    assert_eq!(prestop_kinds(&end), [pair("prestop", "started")]);
}

fn r7_4_a_prestop_while_stopping_answers_with_the_state() {
    let mut kid = Kid::new("admin_draining").env("GS_FLUSH", "200").start();
    let at = address(&mut kid);
    kid.wait_for("ready");
    kid.term_and(|kid| {
        kid.wait_for("draining");
        let start = Instant::now();
        let (code, body) = ask(&at, "POST /prestop");
        assert!(start.elapsed() < ms(400), "{:?}", start.elapsed());
        let state: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((code, &state["reason"]["signal"], &state["phase"]), (200, &"TERM".into(), &"drain".into()));
    })
    .code(0)
    .said("flushed");
}

fn r7_4_a_second_signal_after_the_term_expedites() {
    let mut kid = Kid::new("admin_draining").env("GS_FLUSH", "8000").start();
    let at = address(&mut kid);
    kid.wait_for("ready");
    assert_eq!(ask(&at, "POST /prestop").0, 200);
    kid.term().wait_for("flushing");
    std::thread::sleep(ms(520));
    kid.term();
    let end = kid.end().code(143);
    assert_eq!(prestop_kinds(&end)[1..], [pair("signal", "recorded"), pair("signal", "expedited")]);
}

fn r7_4_int_and_stop_during_the_wait() {
    let mut kid = Kid::new("admin_draining").start();
    let at = address(&mut kid);
    kid.wait_for("ready");
    assert_eq!(ask(&at, "POST /prestop").0, 200);
    kid.signal(libc::SIGINT);
    kid.end().died_by(libc::SIGINT).said("flushed");
    let mut kid = Kid::new("admin_draining").env("GS_STOP", "1").start();
    let at = address(&mut kid);
    kid.wait_for("ready");
    assert_eq!(ask(&at, "POST /prestop").0, 200);
    let end = kid.end().code(0).said("flushed");
    assert_eq!(prestop_kinds(&end), [pair("prestop", "started"), pair("stop", "recorded")]);
}

// --- who may ------------------------------------------------------------------------

fn admin_service() {
    let gs = match install(options(3000)) {
        Ok(gs) => gs,
        Err(e) => {
            say(&format!("refused {:?} {e}", e.kind()));
            std::process::exit(3)
        }
    };
    at_of(&gs);
    serve(&gs);
}

/// An address of this machine that is not loopback; the suite runs in a namespace of its own where there is none.
fn own_address() -> Option<std::net::IpAddr> {
    // Nothing is sent: a datagram socket that is connected only looks the route up.
    let s = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    s.connect("192.0.2.1:9").ok()?;
    s.local_addr().ok().map(|a| a.ip()).filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
}

fn r2_3_a_far_peer_needs_the_token() {
    let Some(ip) = own_address() else {
        say("no address but loopback here: only the unit tests of http.rs speak for a far peer");
        return;
    };
    let bearer = |t: &str| format!("POST /prestop HTTP/1.1\r\nAuthorization: Bearer {t}\r\n\r\n");
    let mut kid = Kid::new("admin_service").env("GS_ADMIN", "0.0.0.0:0").env("GS_TOKEN", TOKEN).start();
    let at = address(&mut kid).replace("0.0.0.0", &ip.to_string());
    kid.wait_for("ready");
    assert_eq!(ask(&at, "GET /readyz").0, 200);
    assert_eq!(ask(&at, "POST /prestop").0, 401);
    assert_eq!(parts(&send(&at, &bearer("0123456789abcdeX")).unwrap()).0, 401);
    assert_eq!(ask(&at, "GET /readyz").0, 200, "nothing was triggered");
    assert_eq!(parts(&send(&at, &bearer(TOKEN)).unwrap()).0, 200);
    assert_eq!(ask(&at, "GET /readyz").0, 503);
    kid.term();
    kid.end().code(0).silent(TOKEN);
    let mut kid = Kid::new("admin_service").env("GS_ADMIN", "0.0.0.0:0").start();
    let at = address(&mut kid).replace("0.0.0.0", &ip.to_string());
    kid.wait_for("ready");
    assert_eq!(ask(&at, "POST /prestop").0, 403);
    kid.term();
    kid.end().code(0);
}

fn r2_3_the_unix_socket_is_the_owners_and_goes_with_it() {
    use std::os::unix::fs::PermissionsExt;
    let path = folder().join("admin-%p.sock");
    let named = format!("unix:{}", path.display());
    let mut kid = Kid::new("admin_service")
        .env("GS_ADMIN", &named)
        .before(|| {
            unsafe { libc::umask(0) };
            Ok(())
        })
        .start();
    let at = address(&mut kid);
    let file = PathBuf::from(at.trim_start_matches("unix:"));
    assert!(file.to_str().unwrap().contains(&format!("admin-{}.sock", kid.pid())), "{at}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    kid.wait_for("ready");
    assert_eq!(ask(&at, "GET /livez").0, 200);
    assert_eq!(ask(&at, "POST /prestop").0, 200, "the same user needs no token");
    kid.term();
    kid.end().code(0);
    assert!(!file.exists(), "taken away at the exit");
    // Left by a process that was killed: replaced.
    let path = folder().join("admin.sock");
    let named = format!("unix:{}", path.display());
    let mut kid = Kid::new("admin_service").env("GS_ADMIN", &named).ready();
    kid.signal(libc::SIGKILL);
    kid.end();
    assert!(path.exists());
    let mut kid = Kid::new("admin_service").env("GS_ADMIN", &named).ready();
    assert_eq!(ask(&named, "GET /readyz").0, 200);
    // A live one is refused, and stays.
    Kid::new("admin_service").env("GS_ADMIN", &named).end().code(3).said("refused Os").said("admin.sock");
    assert_eq!(ask(&named, "GET /readyz").0, 200);
    kid.term();
    kid.end().code(0);
    // What is no socket is nobody's to replace.
    std::fs::write(&path, "precious").unwrap();
    Kid::new("admin_service").env("GS_ADMIN", &named).end().code(3).said("refused Os");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    let long = format!("unix:/tmp/{}", "x".repeat(200));
    Kid::new("admin_service").env("GS_ADMIN", &long).end().code(3).said("at most 107");
}

fn admin_taken() {
    admin_service();
}

fn r2_3_an_address_in_use_is_named() {
    let mut kid = Kid::new("admin_service").start();
    let at = address(&mut kid);
    kid.wait_for("ready");
    let end = Kid::new("admin_taken").env("GS_ADMIN", &at).end().code(3).said("refused Os");
    assert!(end.has(&at) && end.has("Address already in use") && end.has("an address of its own"), "{:#?}", end.said);
    Kid::new("admin_taken").env("GS_ADMIN", "192.0.2.1:9901").end().code(3).said("192.0.2.1:9901");
    kid.term();
    kid.end().code(0);
}

// --- bad clients ------------------------------------------------------------------

fn r2_3_what_is_asked_wrongly_is_told_so() {
    let mut kid = Kid::new("admin_service").start();
    let at = address(&mut kid);
    kid.wait_for("ready");
    assert_eq!(ask(&at, "GET /nothing").0, 404);
    assert_eq!(ask(&at, "POST /livez").0, 405);
    assert_eq!(ask(&at, "HEAD /prestop").0, 405);
    assert_eq!(parts(&send(&at, &format!("GET /livez HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(8000))).unwrap()).0, 431);
    let body = format!("POST /prestop HTTP/1.1\r\nContent-Length: 60000\r\n\r\n{}", "z".repeat(30_000));
    assert_eq!(parts(&send(&at, &body).unwrap()).0, 413);
    for garbage in [
        "\0\0\0\0\r\n\r\n",
        "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\r\nGET\r\n\r\n",
    ] {
        assert_eq!(parts(&send(&at, garbage).unwrap()).0, 400, "{garbage:?}");
    }
    assert_eq!(ask(&at, "GET /readyz").0, 200, "nothing was triggered");
    assert!(parts(&send(&at, "GET /livez HTTP/1.0\r\n\r\n").unwrap()).0 == 200, "HTTP/1.0 too");
    kid.term();
    kid.end().code(0);
}

fn r2_3_a_slow_client_holds_nobody_up() {
    let mut kid = Kid::new("admin_service").start();
    let at = address(&mut kid);
    kid.wait_for("ready");
    // One byte at a time, on more connections than there are places.
    let mut slow: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(&at).unwrap()).collect();
    let start = Instant::now();
    let mut asked = 0;
    let mut text = b"GET /livez HTTP/1.1\r\nX-Slow: ".iter().cycle();
    while start.elapsed() < ms(6000) {
        let byte = [*text.next().unwrap()];
        // Those that had to make room are gone.
        slow.retain_mut(|s| s.write_all(&byte).is_ok());
        let one = Instant::now();
        assert_eq!(ask(&at, "GET /livez").0, 200);
        assert!(one.elapsed() < ms(500) + SLACK, "{:?}", one.elapsed());
        asked += 1;
        std::thread::sleep(ms(100));
    }
    assert!(asked > 10);
    // After 5 s the last of them is told so, or gone.
    for mut s in slow {
        s.set_read_timeout(Some(LIMIT)).unwrap();
        let mut rest = String::new();
        let _ = s.read_to_string(&mut rest);
        assert!(rest.is_empty() || rest.contains(" 400 ") || rest.contains(" 408 "), "{rest}");
    }
    kid.term();
    kid.end().code(0);
}

fn r2_3_a_thousand_connections() {
    let mut kid = Kid::new("admin_service").start();
    let at = address(&mut kid);
    kid.wait_for("ready");
    let memory = status_field(kid.pid(), "VmRSS");
    let crowd: Vec<_> = (0..1000).filter_map(|_| TcpStream::connect_timeout(&at.parse().unwrap(), ms(2000)).ok()).collect();
    assert_eq!(ask(&at, "GET /livez").0, 200);
    let fds = std::fs::read_dir(format!("/proc/{}/fd", kid.pid())).unwrap().count();
    assert!(fds < 60, "{fds} descriptors");
    drop(crowd);
    // Each asks and is answered.
    for _ in 0..1000 {
        assert_eq!(ask(&at, "GET /readyz").0, 200);
    }
    let kib = |text: &str| text.split(' ').next().unwrap().parse::<i64>().unwrap();
    let grown = kib(&status_field(kid.pid(), "VmRSS")) - kib(&memory);
    assert!(grown < 2048, "{grown} KiB more than before");
    assert_eq!(ask(&at, "POST /prestop").0, 200);
    kid.term();
    kid.end().code(0);
}

// --- descriptors -------------------------------------------------------------------

fn admin_emfile() {
    let gs = install(options(3000)).unwrap();
    at_of(&gs);
    let mut all = Vec::new();
    while let Ok(f) = std::fs::File::open("/dev/null") {
        all.push(f);
        if all.len() == 200 {
            unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &libc::rlimit { rlim_cur: 250, rlim_max: 250 }) };
        }
    }
    say(&format!("{} files", all.len()));
    serve(&gs);
}

fn r2_3_without_a_free_descriptor_it_still_answers() {
    let mut kid = Kid::new("admin_emfile").start();
    let at = address(&mut kid);
    kid.wait_for("ready");
    for _ in 0..50 {
        assert_eq!(ask(&at, "GET /livez").0, 200);
    }
    let used = cpu_of(kid.pid());
    // One more connection than there are descriptors: the second waits, and nothing spins.
    let (a, b) = (TcpStream::connect(&at).unwrap(), TcpStream::connect(&at).unwrap());
    std::thread::sleep(ms(1000));
    let used = cpu_of(kid.pid()) - used;
    assert!(used <= 10, "{used} ticks of 10 ms in a second");
    drop((a, b));
    assert_eq!(ask(&at, "POST /prestop").0, 200);
    kid.term();
    kid.end().code(0);
}

/// CPU time of the whole process in ticks (10 ms).
fn cpu_of(pid: i32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let rest: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    rest[11].parse::<u64>().unwrap() + rest[12].parse::<u64>().unwrap()
}

fn admin_daemon() {
    let gs = install(options(3000)).unwrap();
    saying(&gs, "flush", "flushed");
    at_of(&gs);
    for fd in 3..100 {
        unsafe { libc::close(fd) };
    }
    serve(&gs);
}

fn r2_3_a_host_that_closes_every_descriptor_loses_the_endpoint_only() {
    let mut kid = Kid::new("admin_daemon").start();
    let at = address(&mut kid);
    kid.wait_for("ready");
    // The first connection still finds the socket that poll holds, and wakes the thread, which sees that it is gone.
    if let Ok(mut s) = TcpStream::connect(&at) {
        s.set_read_timeout(Some(ms(5000))).unwrap();
        let mut nothing = String::new();
        let _ = s.read_to_string(&mut nothing);
        assert!(nothing.is_empty(), "{nothing}");
    }
    until("the thread ended", || !threads_of(kid.pid()).contains(&"gs-admin".to_owned()));
    let used = cpu_of(kid.pid());
    std::thread::sleep(ms(500));
    assert!(cpu_of(kid.pid()) - used <= 5, "nothing spins");
    kid.term();
    kid.end().code(0).said("flushed");
}

fn threads_of(pid: i32) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    tasks.filter_map(|t| Some(std::fs::read_to_string(t.ok()?.path().join("comm")).ok()?.trim().to_owned())).collect()
}

fn admin_reused() {
    let gs = install(options(3000)).unwrap();
    let at = gs.admin_address().unwrap();
    // A listener of the host gets the number of ours.
    let before: Vec<i32> = (3..64).filter(|fd| unsafe { libc::fcntl(*fd, libc::F_GETFD) } >= 0).collect();
    let theirs = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for fd in before {
        unsafe { libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&theirs), fd) };
    }
    say(&format!("at {at}"));
    say(&format!("theirs {}", theirs.local_addr().unwrap()));
    ready();
    let (mut s, _) = theirs.accept().unwrap();
    let mut text = [0; 4];
    s.read_exact(&mut text).unwrap();
    s.write_all(b"host").unwrap();
    say("the host served it");
    serve(&gs);
}

fn r2_3_a_number_that_was_taken_is_left_alone() {
    let mut kid = Kid::new("admin_reused").start();
    let at = address(&mut kid);
    let theirs = kid.wait_for("theirs ").trim_start_matches("theirs ").to_owned();
    kid.wait_for("ready");
    let _ = TcpStream::connect(&at); // wakes the thread, if the old socket is still there
    let mut s = TcpStream::connect(&theirs).unwrap();
    s.set_read_timeout(Some(LIMIT)).unwrap();
    s.write_all(b"ping").unwrap();
    let mut text = [0; 4];
    s.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"host", "it went to the host and not to us");
    kid.wait_for("the host served it");
    kid.term();
    kid.end().code(0);
}

fn admin_forking() {
    let gs = install(options(3000)).unwrap();
    at_of(&gs);
    let at = gs.admin_address().unwrap();
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        unsafe { libc::alarm(25) };
        assert!(!threads_of(std::process::id() as i32).contains(&"gs-admin".to_owned()));
        let again = install(Options { admin: Some(AdminAt::Tcp(at.parse().unwrap())), ..grace(3000) });
        // Another address than the parent's own "port 0": taken, and said so.
        say(&format!("child {:?}", again.map(|_| ()).map_err(|e| e.kind() == ErrorKind::Os)));
        park();
    }
    say(&format!("pid {pid}"));
    serve(&gs);
}

fn r10_1_a_forked_child_serves_nothing_and_holds_nothing() {
    let mut kid = Kid::new("admin_forking").start();
    let at = address(&mut kid);
    kid.wait_for("child Err(true)");
    let line = kid.said.iter().find(|l| l.starts_with("pid ")).cloned().unwrap_or_else(|| kid.wait_for("pid "));
    let child: i32 = line.trim_start_matches("pid ").parse().unwrap();
    assert_eq!(ask(&at, "GET /livez").0, 200, "the parent does");
    kid.term();
    kid.end().code(0);
    // The child lives, and the address is free all the same.
    assert_eq!(unsafe { libc::kill(child, 0) }, 0);
    assert_eq!(TcpStream::connect(&at).unwrap_err().kind(), IoKind::ConnectionRefused);
    drop(std::net::TcpListener::bind(&at).expect("free"));
    unsafe { libc::kill(child, libc::SIGKILL) };
}

fn r2_3_idle_it_never_wakes() {
    let mut kid = Kid::new("admin_service").start();
    let at = address(&mut kid);
    kid.wait_for("ready");
    assert_eq!(ask(&at, "GET /livez").0, 200);
    let switches = || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", kid.pid())).unwrap();
        let of_admin = |t: &PathBuf| std::fs::read_to_string(t.join("comm")).is_ok_and(|c| c.trim() == "gs-admin");
        let task = tasks.map(|t| t.unwrap().path()).find(of_admin).unwrap();
        let text = std::fs::read_to_string(task.join("status")).unwrap();
        let count = |l: &str| l.split_whitespace().last().and_then(|n| n.parse::<u64>().ok()).unwrap();
        text.lines().filter(|l| l.contains("ctxt_switches")).map(count).sum::<u64>()
    };
    // The connection is closed by both sides; then nothing.
    until("at rest", || {
        let n = switches();
        std::thread::sleep(ms(700));
        switches() == n
    });
    let before = switches();
    std::thread::sleep(ms(2000));
    assert_eq!(switches(), before);
    kid.term();
    kid.end().code(0);
}

fn admin_uninstalling() {
    let at = AdminAt::Unix(PathBuf::from(arg("GS_FOLDER")).join("sock"));
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = open();
    for _ in 0..3 {
        let gs = install(Options { exit: Some(Exit::Manual), admin: Some(at.clone()), ..grace(3000) }).unwrap();
        assert_eq!(ask(&at.to_string(), "GET /readyz").0, 200);
        gs.uninstall().unwrap();
        assert!(!threads_of(std::process::id() as i32).contains(&"gs-admin".to_owned()));
        assert!(send(&at.to_string(), "GET /livez HTTP/1.1\r\n\r\n").is_err());
    }
    assert_eq!(open(), before);
    say("nothing is left open");
}

fn r2_1_uninstall_ends_it() {
    Kid::new("admin_uninstalling").end().code(0).said("nothing is left open");
}

// --- the other ends -----------------------------------------------------------------

fn admin_orphan() {
    let pid = unsafe { libc::fork() };
    if pid != 0 {
        // The parent, until it is killed.
        say(&format!("pid {pid}"));
        park();
    }
    unsafe { libc::alarm(25) };
    let gs = install(Options { parent_death: Some(true), ..grace(3000) }).unwrap();
    saying(&gs, "flush", "flushed by the orphan");
    serve(&gs);
}

fn r2_3_the_parents_death_is_a_trigger() {
    let mut kid = Kid::new("admin_orphan").start();
    kid.wait_for("ready");
    let folder = kid.folder();
    kid.signal(libc::SIGKILL);
    kid.end().died_by(libc::SIGKILL);
    until("the orphan's report", || std::fs::read_to_string(folder.join("report.json")).is_ok_and(|t| t.ends_with('\n')));
    let report: Value = serde_json::from_str(&std::fs::read_to_string(folder.join("report.json")).unwrap()).unwrap();
    assert_eq!((&report["reason"]["kind"], &report["outcome"]), (&"parent_death".into(), &"clean".into()));
}

fn admin_stdin() {
    let gs = install(Options { stdin_eof: Some(true), ..grace(3000) }).unwrap();
    serve(&gs);
}

fn admin_stdin_data() {
    let mut ends = [0; 2];
    unsafe { libc::pipe(ends.as_mut_ptr()) };
    unsafe { libc::dup2(ends[0], 0) };
    unsafe { libc::close(ends[0]) };
    assert_eq!(unsafe { libc::write(ends[1], b"unread".as_ptr().cast(), 6) }, 6);
    let gs = install(Options { stdin_eof: Some(true), ..grace(3000) }).unwrap();
    let used = cpu_of(std::process::id() as i32);
    std::thread::sleep(ms(500));
    assert!(cpu_of(std::process::id() as i32) - used <= 5, "what lies there unread wakes nobody");
    assert_eq!(gs.state(), graceshut::State::Armed);
    unsafe { libc::close(ends[1]) };
    let finished = gs.wait(Some(ms(5000))).unwrap();
    assert_eq!(finished.report.reason.kind, "stdin_eof");
    let mut text = [0; 16];
    assert_eq!(unsafe { libc::read(0, text.as_mut_ptr().cast(), 16) }, 6, "nothing was read");
    say("all of it is still there");
    std::process::exit(finished.exit.code)
}

fn r2_3_the_end_of_stdin_is_a_trigger_and_nothing_is_read() {
    Kid::new("admin_stdin_data").end().code(0).said("all of it is still there");
    // /dev/null is at its end from the start, and tells nobody.
    let mut kid = Kid::new("admin_stdin").ready();
    std::thread::sleep(ms(200));
    assert!(kid.is_alive());
    kid.term();
    let end = kid.end().code(0);
    assert_eq!(end.report()["reason"]["kind"], "signal");
}
