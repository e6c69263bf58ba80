//! The admin endpoint (spec 7.5): what it answers, and to whom.

use std::io::ErrorKind as IoKind;
use std::net::TcpStream;
use std::path::PathBuf;

use graceshut::AdminAt;
use serde_json::Value;

use crate::asking::*;
use crate::harness::*;

crate::suite!("admin",
tests: [
    r2_3_it_answers_while_every_thread_of_the_program_is_stuck,
    r2_3_readyz_is_red_from_the_trigger_on_and_before_ready,
    r2_3_it_serves_during_the_stop,
    r2_3_a_far_peer_needs_the_token,
    r2_3_the_unix_socket_is_the_owners_and_goes_with_it,
    r2_3_an_address_in_use_is_named,
    r2_3_what_is_asked_wrongly_is_told_so,
    r2_1_uninstall_ends_it,
],
children: [admin_stuck, admin_held, admin_slow, admin_service, admin_taken, admin_uninstalling]);

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

/// In a network namespace of its own, whose one interface has an address that is not loopback's.
fn own_network() -> std::io::Result<()> {
    let check = |r: i32| if r < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) };
    check(unsafe { libc::unshare(libc::CLONE_NEWNET) })?;
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    let address = libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: 0,
        sin_addr: libc::in_addr { s_addr: u32::from(FAR.parse::<std::net::Ipv4Addr>().unwrap()).to_be() },
        sin_zero: [0; 8],
    };
    let s = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM, 0) };
    unsafe { (&raw mut request.ifr_ifru).cast::<libc::sockaddr_in>().write(address) };
    check(unsafe { libc::ioctl(s, libc::SIOCSIFADDR, &request) })?;
    unsafe { (&raw mut request.ifr_ifru).cast::<libc::c_short>().write((libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short) };
    check(unsafe { libc::ioctl(s, libc::SIOCSIFFLAGS, &request) })?;
    check(unsafe { libc::close(s) })
}

const FAR: &str = "198.51.100.7";

/// Runs `f` in the network of that process, on a thread that ends with it.
fn in_network_of(pid: i32, f: impl FnOnce() + Send) {
    use std::os::fd::AsRawFd;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let network = std::fs::File::open(format!("/proc/{pid}/ns/net")).unwrap();
            assert_eq!(unsafe { libc::setns(network.as_raw_fd(), libc::CLONE_NEWNET) }, 0);
            f();
        });
    });
}

fn r2_3_a_far_peer_needs_the_token() {
    if !may("make a network namespace") {
        return;
    }
    let start = |token: &str| {
        let mut kid = Kid::new("admin_service").env("GS_ADMIN", "0.0.0.0:0").env("GS_TOKEN", token).before(own_network).start();
        let at = address(&mut kid).replace("0.0.0.0", FAR);
        kid.wait_for("ready");
        (kid, at)
    };
    let bearer = |t: &str| format!("POST /prestop HTTP/1.1\r\nAuthorization: Bearer {t}\r\n\r\n");
    let (mut kid, at) = start(TOKEN);
    in_network_of(kid.pid(), || {
        assert_eq!(ask(&at, "GET /readyz").0, 200);
        assert_eq!(ask(&at, "POST /prestop").0, 401);
        assert_eq!(parts(&send(&at, &bearer("0123456789abcdeX")).unwrap()).0, 401);
        assert_eq!(ask(&at, "GET /readyz").0, 200, "nothing was triggered");
        assert_eq!(parts(&send(&at, &bearer(TOKEN)).unwrap()).0, 200);
        assert_eq!(ask(&at, "GET /readyz").0, 503);
    });
    kid.term();
    kid.end().code(0).silent(TOKEN);
    let (mut kid, at) = start("");
    in_network_of(kid.pid(), || assert_eq!(ask(&at, "POST /prestop").0, 403));
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
