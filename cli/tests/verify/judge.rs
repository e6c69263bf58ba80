//! The judge itself: exactly one request treated badly must be counted as exactly that.

use crate::check::Check;

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
