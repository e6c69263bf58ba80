//! What is left behind.

use serde_json::Value;
use std::net::TcpStream;

use crate::check::{Check, is_alive};

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
