//! The service's own report.

use serde_json::Value;
use std::fs;

use crate::check::Check;

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
