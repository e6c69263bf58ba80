//! How a program is started: what it is given, and what happens when it cannot be.

use crate::harness::*;

crate::suite!("starts":
    the_status_is_the_programs,
    a_signals_death_is_128_and_n,
    what_cannot_be_executed_is_126_or_127_and_named,
    arguments_behind_the_dashes_are_untouched,
    mask_and_ignored_signals_are_exactly_those_inherited,
    inherited_ignored_chld_loses_no_status,
    the_group_is_its_own_and_the_session_ours,
    a_session_of_its_own_on_request,
    the_environment_tells_the_programs_box,
    socket_activation_names_the_program,
    a_script_without_a_shebang_runs,
    what_is_wrong_is_said_with_the_next_step,
);

fn the_status_is_the_programs() {
    for code in [0, 1, 2, 32, 64, 124, 127, 254, 255] {
        Cmd::run(&[]).sh(&format!("exit {code}")).end().code(code);
    }
    Cmd::run(&["--remap", "143:0", "--remap", "7:9"]).sh("exit 143").end().code(0);
    Cmd::run(&["--remap", "143:0", "--remap", "7:9"]).sh("exit 7").end().code(9);
    Cmd::run(&["--remap", "143:0"]).sh("exit 7").end().code(7);
}

fn a_signals_death_is_128_and_n() {
    for signo in [libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGKILL, libc::SIGSEGV, libc::SIGRTMIN()] {
        Cmd::run(&[]).sh(&format!("kill -{signo} $$")).end().code(128 + signo);
    }
}

fn what_cannot_be_executed_is_126_or_127_and_named() {
    let folder = Folder::new();
    let plain = folder.write("plain", "no program");
    for (program, code, why) in [
        ("no-such-program", 127, "is it in PATH?"),
        ("/no/such/program", 127, "No such file or directory"),
        (plain.to_str().unwrap(), 126, "Permission denied"),
        ("/tmp", 126, "Permission denied"),
    ] {
        for args in [&["--", program][..], &[program, "-x"], &["--child", "--", program]] {
            Cmd::run(args).end().code(code).said(program).said(why);
        }
    }
}

fn arguments_behind_the_dashes_are_untouched() {
    let show = "for a; do echo \"[$a]\"; done";
    let end = Cmd::run(&["--", "sh", "-c", show, "x", "--grace", "-v", "--", "", "a b", "--"]).end().code(0);
    assert_eq!(end.said, ["[--grace]", "[-v]", "[--]", "[]", "[a b]", "[--]"]);
    // And without the dashes: options end at the first word that is none.
    let end = Cmd::run(&["sh", "-c", show, "x", "-v", "--remap"]).end().code(0);
    assert_eq!(end.said, ["[-v]", "[--remap]"]);
}

fn with_odd_signals(cmd: Cmd) -> Cmd {
    cmd.before(|| unsafe {
        for signo in [libc::SIGTTOU, libc::SIGSEGV, libc::SIGINT, libc::SIGPIPE, libc::SIGUSR2] {
            libc::signal(signo, libc::SIG_IGN);
        }
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        for signo in [libc::SIGTTIN, libc::SIGILL, libc::SIGTERM, libc::SIGRTMIN() + 2] {
            libc::sigaddset(&mut set, signo);
        }
        libc::sigprocmask(libc::SIG_SETMASK, &set, std::ptr::null_mut());
        Ok(())
    })
}

fn mask_and_ignored_signals_are_exactly_those_inherited() {
    let show = |cmd: Cmd| cmd.args(&["grep", "^Sig[BI]", "/proc/self/status"]).end().code(0).said;
    // What grep sees where nobody stands between.
    let bare = with_odd_signals(Cmd::new("env")).args(&["grep", "^Sig[BI]", "/proc/self/status"]).end().code(0).said;
    assert!(bare[0].contains("SigBlk:\t0000000") && bare[0] != "SigBlk:\t0000000000000000", "{bare:?}");
    assert_eq!(show(with_odd_signals(Cmd::run(&["--"]))), bare);
    assert_eq!(show(with_odd_signals(Cmd::run(&["--session", "--child", "--"]))), bare);
    assert_eq!(show(with_odd_signals(Cmd::run(&["--subreaper", "--for", "50s", "--"]))), bare);
    let plain = Cmd::new("env").args(&["grep", "^Sig[BI]", "/proc/self/status"]).end().code(0).said;
    assert_eq!(show(Cmd::run(&["--"])), plain);
}

fn inherited_ignored_chld_loses_no_status() {
    let ignore = || unsafe {
        libc::signal(libc::SIGCHLD, libc::SIG_IGN);
        Ok(())
    };
    Cmd::run(&[]).sh("exit 9").before(ignore).end().code(9);
    let end = Cmd::run(&["--", "grep", "^SigIgn", "/proc/self/status"]).before(ignore).end().code(0);
    let ignored = end.said[0].split_whitespace().last().unwrap();
    assert_eq!(u64::from_str_radix(ignored, 16).unwrap() & 1 << (libc::SIGCHLD - 1), 1 << (libc::SIGCHLD - 1));
}

fn the_group_is_its_own_and_the_session_ours() {
    Cmd::run(&[]).probe("leader").end().code(0).said("group true session false");
}

fn a_session_of_its_own_on_request() {
    Cmd::run(&["--session"]).probe("leader").end().code(0).said("group true session true");
}

fn the_environment_tells_the_programs_box() {
    let folder = Folder::new();
    folder.write("graceshut.toml", "grace = \"20s\"\n[[hook]]\nphase = \"flush\"\ndelay = \"1ms\"\n");
    let end = Cmd::run(&[]).probe("env").dir(&folder).env("GRACESHUT_ADMIN_TOKEN", "0123456789abcdef").end().code(0);
    let grace = end.said.iter().find_map(|l| l.strip_prefix("GRACESHUT_GRACE=")).unwrap().to_owned();
    let grace = graceshut::parse_duration(&grace).unwrap();
    // 20 s less margin (600 ms), less the quarter announce may take, less what flush keeps (a fifth).
    assert!(grace >= ms(10_000) && grace <= ms(16_000), "{grace:?}");
    let end = end.said("GRACESHUT_CONFIG=/dev/null").silent("GRACESHUT_REPORT").silent("GRACESHUT_ADMIN");
    drop(end);
    Cmd::run(&["--child-config", "own.toml"]).probe("env").end().code(0).said("GRACESHUT_CONFIG=own.toml");
    Cmd::run(&[]).probe("env").dir("/").end().code(0).silent("GRACESHUT_CONFIG").said("GRACESHUT_GRACE=");
}

fn socket_activation_names_the_program() {
    // The shell becomes `run`, so that its own number is the one named.
    let script = format!(
        "export LISTEN_PID=$$ LISTEN_FDS=1; exec {GRACESHUT} run --report none -- sh -c 'test \"$LISTEN_PID\" = $$ && echo mine'"
    );
    Cmd::new("sh").args(&["-c", &script]).end().code(0).said("mine");
    Cmd::run(&[]).env("LISTEN_PID", "1").sh("test \"$LISTEN_PID\" = 1 && echo untouched").end().code(0).said("untouched");
}

fn a_script_without_a_shebang_runs() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let script = folder.write("script", "echo \"ran $1\"; exit 4\n");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    Cmd::run(&["--", script.to_str().unwrap(), "with this"]).end().code(4).said("ran with this");
}

fn what_is_wrong_is_said_with_the_next_step() {
    let folder = Folder::new();
    Cmd::run(&[]).dir(&folder).end().code(125).said("nothing to run").said("[[process]]");
    Cmd::run(&["--rewrite", "15"]).end().code(2).said("FROM:TO");
    Cmd::run(&["--remap", "256:0"]).end().code(2).said("0 to 255");
    Cmd::run(&["--stop-signal", "TREM"]).end().code(2).said("no such signal");
    Cmd::run(&["--grace", "10ms", "--", "true"]).end().code(125).said("too short");
    Cmd::run(&["--phase", "flsh", "--", "true"]).end().code(125).said("flush");
    Cmd::run(&["--admin", "nowhere", "--", "true"]).end().code(125).said("GRACESHUT_ADMIN");
    Cmd::run(&["--config", "/no/such.toml", "--", "true"]).end().code(125).said("/no/such.toml");
    folder.write("graceshut.toml", "exit = \"manual\"\n");
    Cmd::run(&["--", "true"]).dir(&folder).end().code(125).said("manual");
    folder.write("graceshut.toml", "[[process]]\nname = \"a\"\ncommand = [\"true\"]\n");
    Cmd::run(&["--", "true"]).dir(&folder).end().code(125).said("leave one of them out");
    // A program without a word of configuration is not started: nothing half configured runs.
    folder.write("graceshut.toml", "grcae = \"1s\"\n");
    Cmd::run(&["--", "sh", "-c", "echo started"]).dir(&folder).end().code(125).said("did you mean").silent("started");
}
