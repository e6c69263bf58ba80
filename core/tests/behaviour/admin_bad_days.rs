//! The admin endpoint on bad days: slow and many clients, no descriptors, closed and reused ones, a fork (spec 7.5, 13).

use std::io::{ErrorKind as IoKind, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Instant;

use graceshut::{AdminAt, ErrorKind};

use crate::asking::*;
use crate::harness::*;

crate::suite!("admin_bad_days",
tests: [
    r2_3_a_slow_client_holds_nobody_up,
    r2_3_a_thousand_connections,
    r2_3_without_a_free_descriptor_it_still_answers,
    r2_3_a_host_that_closes_every_descriptor_loses_the_endpoint_only,
    r2_3_a_number_that_was_taken_is_left_alone,
    r10_1_a_forked_child_serves_nothing_and_holds_nothing,
    r2_3_idle_it_never_wakes,
],
children: [admin_emfile, admin_daemon, admin_reused, admin_forking]);

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
