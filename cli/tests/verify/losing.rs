//! Services that lose something.

use serde_json::Value;

use crate::check::{Check, service};

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
