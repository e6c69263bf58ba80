//! Java: the same rows as the other languages, in the JVM's own conditions.

use crate::Tools;
use crate::stats::{Limit, Row};
use crate::{exits, hosts, inflight};

fn in_flight(tools: &Tools, threads: &str, peer: (&str, &str), limit: Limit) -> Row {
    let what = format!("enter + leave, Java, {threads} thread(s), per unit");
    let command = hosts::java(tools, "inflight").map(|mut c| {
        c.args([threads, peer.0]);
        c
    });
    inflight::scripted(command, "java", &what, peer.1, limit)
}

/// All of them.
pub fn rows(tools: &Tools) -> Vec<Row> {
    let mut rows = Vec::new();
    for threads in ["1", "2"] {
        rows.push(in_flight(tools, threads, ("adds", "two VarHandle.getAndAdd"), Limit::Ratio(1.5)));
        rows.push(in_flight(tools, threads, ("phaser", "Phaser register + arriveAndDeregister"), Limit::Ratio(1.0)));
    }
    rows.extend(hosts::rows_of(tools, "java", "before a safepoint"));
    rows.push(exits::leaving_row(tools, "java", 20.0));
    rows
}
