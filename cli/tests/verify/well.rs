//! Services that do well.

use serde_json::Value;

use crate::check::Check;

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
