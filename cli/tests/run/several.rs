//! `[[process]]`: several programs, started in order, stopped in reverse.

use crate::harness::*;

crate::suite!("several":
    started_when_ready_and_stopped_in_reverse,
    the_sidecar_stops_only_when_the_app_is_gone,
    a_required_one_that_ends_brings_the_rest_down,
    one_that_is_not_required_does_not,
    failures_are_started_again_until_the_limit,
    a_hung_one_costs_its_own_box,
    readiness_by_tcp_file_delay_and_http,
    never_ready_is_an_end,
    environment_folder_and_user,
    output_is_prefixed_and_whole,
    a_term_during_the_start_stops_what_there_is,
    a_program_that_is_not_there_is_named,
);

fn start(folder: &Folder, config: &str) -> Running {
    folder.write("graceshut.toml", config);
    Cmd::run(&["-v"]).dir(folder).start()
}

fn process(name: &str, script: &str, more: &str) -> String {
    format!("[[process]]\nname = \"{name}\"\ncommand = [\"sh\", \"-c\", '''{script}''']\n{more}\n")
}

/// Says that it stops, a little after it was asked to.
fn waiter(file: &str) -> String {
    let touch = if file.is_empty() { String::new() } else { format!("sleep 0.2; touch {file};") };
    format!("trap 'sleep 0.2; echo stopped; exit 0' TERM; echo begun; {touch} echo ready; while :; do sleep 0.02; done")
}

fn started_when_ready_and_stopped_in_reverse() {
    let folder = Folder::new();
    let config = process("db", &waiter("db.up"), "ready = { file = \"db.up\" }")
        + &process("cache", &waiter("cache.up"), "after = \"db\"\nready = { file = \"cache.up\" }")
        + &process("app", &waiter(""), "after = [\"db\", \"cache\"]");
    let mut kid = start(&folder, &config);
    kid.wait_for("app   | ready");
    kid.term();
    // What the programs say and what is said about them come by two pipes.
    let end = kid.end().code(0);
    let end = end.in_order(&[
        "db    | begun",
        "cache | begun",
        "app   | begun",
        "app   | stopped",
        "cache | stopped",
        "db    | stopped",
    ]);
    end.in_order(&[
        "db started",
        "db is ready",
        "cache started",
        "cache is ready",
        "app started",
        "TERM to app",
        "TERM to cache",
        "TERM to db",
    ]);
}

fn the_sidecar_stops_only_when_the_app_is_gone() {
    let folder = Folder::new();
    // Neither knows of the other: the phases say it.
    let config = process("proxy", &waiter(""), "phase = \"close\"") + &process("app", &waiter(""), "");
    let mut kid = start(&folder, &config);
    kid.wait_for_all(&["proxy | ready", "app   | ready"]);
    kid.term();
    let end = kid.end().code(0).in_order(&["app   | stopped", "proxy | stopped"]);
    end.in_order(&["TERM to app", "app ended", "TERM to proxy", "proxy ended"]);
}

fn a_required_one_that_ends_brings_the_rest_down() {
    let folder = Folder::new();
    let config = process("proxy", &waiter(""), "phase = \"close\"")
        + &process("app", &waiter(""), "")
        + &process("job", "sleep 0.3; exit 4", "after = [\"app\", \"proxy\"]");
    start(&folder, &config)
        .end()
        .code(4)
        .said("job ended (status 4), so the rest is stopped")
        .in_order(&["app   | stopped", "proxy | stopped"]);
}

fn one_that_is_not_required_does_not() {
    let folder = Folder::new();
    let config = process("app", &waiter(""), "") + &process("init", "exit 3", "required = false");
    let mut kid = start(&folder, &config);
    kid.wait_for_all(&["init ended", "app  | ready"]);
    std::thread::sleep(ms(200));
    assert!(kid.is_alive());
    kid.term();
    kid.end().code(0).silent("so the rest is stopped");
    // When nothing runs any more there is nothing to wait for.
    start(&folder, &process("one", "exit 0", "required = false")).end().code(0);
}

fn failures_are_started_again_until_the_limit() {
    let folder = Folder::new();
    let more = "restart = \"on_failure\"\nrestart_delay = \"50ms\"\nrestart_limit = 3";
    let end = start(&folder, &process("app", "echo again; exit 5", more)).end().code(5);
    assert_eq!(end.said.iter().filter(|l| l.contains("| again")).count(), 4, "{:#?}", end.said);
    end.said("started again in 50ms").said("started again in 100ms").said("started again in 200ms");
    // Status 0 is no failure; success at the third try ends it.
    let script = "n=$(cat n 2>/dev/null || echo 0); echo $((n+1)) > n; test $n -ge 2";
    start(&folder, &process("app", script, more)).end().code(0);
    assert_eq!(folder.text("n").trim(), "3");
}

fn a_hung_one_costs_its_own_box() {
    let folder = Folder::new();
    let hung = "trap \"\" TERM; echo ready; while :; do sleep 1; done";
    let config = "grace = \"20s\"\n".to_owned()
        + &process("good", &waiter(""), "phase = \"close\"")
        + &process("hung", hung, "stop_timeout = \"1s\"");
    let mut kid = start(&folder, &config);
    kid.wait_for_all(&["hung | ready", "good | ready"]);
    kid.term();
    let end = kid.end().code(1).within(ms(900), ms(1_500)).said("good | stopped");
    end.in_order(&["hung did not stop in time: KILL", "TERM to good"]);
}

fn readiness_by_tcp_file_delay_and_http() {
    let folder = Folder::new();
    let port = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (tcp, http) = (port(), port());
    let serve = |port: u16| format!("exec python3 -m http.server --bind 127.0.0.1 {port}");
    let config = process("a", &serve(tcp), &format!("ready = {{ tcp = \"127.0.0.1:{tcp}\" }}"))
        + &process("b", &serve(http), &format!("ready = {{ http = \"http://127.0.0.1:{http}/\" }}"))
        + &process("c", &waiter(""), "ready = { delay = \"200ms\" }")
        + &process("d", &waiter(""), "after = [\"a\", \"b\", \"c\"]");
    let mut kid = start(&folder, &config);
    kid.wait_for("d | ready");
    kid.wait_for_all(&["a is ready", "b is ready", "c is ready"]);
    kid.term();
    kid.end();
}

fn never_ready_is_an_end() {
    let folder = Folder::new();
    let config = process("a", &waiter(""), "ready = { file = \"never\" }\nready_timeout = \"300ms\"")
        + &process("b", "echo never", "after = \"a\"");
    start(&folder, &config).end().code(1).said("not ready within 300ms").said("a | stopped").silent("b | never");
}

fn environment_folder_and_user() {
    if !may("become another user") {
        return;
    }
    let folder = Folder::new();
    std::fs::create_dir(folder.path("sub")).unwrap();
    let script = "echo \"$COLOUR $(basename $PWD) $(id -u):$(id -g)\"";
    let more = "env = { COLOUR = \"green\" }\ndir = \"sub\"\nuser = \"12345:54321\"\nrequired = false";
    start(&folder, &process("a", script, more)).end().code(0).said("a | green sub 12345:54321");
    start(&folder, &process("a", "id -un", "user = \"nobody\"\nrequired = false")).end().code(0).said("a | nobody");
    start(&folder, &process("a", "true", "user = \"no-such-user\"")).end().code(125).said("no-such-user");
    start(&folder, &process("a", "true", "dir = \"no-such-folder\"")).end().code(126).said("working folder");
}

fn output_is_prefixed_and_whole() {
    let folder = Folder::new();
    let script = "for i in $(seq 300); do echo out $i; echo err $i >&2; done; printf 'no end'";
    let config = process("one", script, "required = false") + &process("three", script, "required = false");
    let end = start(&folder, &config).end().code(0);
    for name in ["one  ", "three"] {
        for i in 1..=300 {
            assert!(end.has(&format!("{name} | out {i}")) && end.has(&format!("{name} | err {i}")), "{name} {i}");
        }
        assert!(end.has(&format!("{name} | no end")));
    }
    assert!(end.said.iter().all(|l| !l.contains('\x1b')), "colour in a pipe");
}

fn a_term_during_the_start_stops_what_there_is() {
    let folder = Folder::new();
    let config = process("a", &waiter(""), "ready = { file = \"never\" }") + &process("b", "echo never", "after = \"a\"");
    let mut kid = start(&folder, &config);
    kid.wait_for("a | ready");
    kid.term();
    kid.end().code(0).said("a | stopped").silent("b | never").within(ms(0), ms(800));
}

fn a_program_that_is_not_there_is_named() {
    let folder = Folder::new();
    let config = process("a", &waiter("a.up"), "ready = { file = \"a.up\" }")
        + "[[process]]\nname = \"b\"\ncommand = [\"no-such-program\"]\nafter = \"a\"\n";
    start(&folder, &config).end().code(127).said("no-such-program").said("a | stopped");
}
