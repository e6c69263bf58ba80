//! Java: the same rows as the other languages, in the JVM's own conditions.

use std::process::Command;

use crate::Tools;
use crate::stats::{Limit, Row};
use crate::{exits, hosts, inflight};

/// Compiled by the second compiler alone, which leaves the polls out of the loop that stands for a stuck JVM.
const STUCK: [&str; 6] = [
    "-XX:-TieredCompilation",
    "-Xbatch",
    "-XX:+UnlockDiagnosticVMOptions",
    "-XX:-UseCountedLoopSafepoints",
    "-XX:LoopStripMiningIter=0",
    "-XX:+UseSerialGC",
];

/// `java Bench NAME`, with what `--java-path` says as class path.
pub fn command(tools: &Tools, name: &str) -> Option<Command> {
    let mut command = Command::new(tools.get("java")?);
    if name == "stuck" {
        command.args(STUCK);
    }
    command.arg("-cp").arg(tools.get("java-path")?).args(["Bench", name]);
    Some(command)
}

fn in_flight(tools: &Tools, threads: &str, peer: (&str, &str), limit: Limit) -> Row {
    let what = format!("enter + leave, Java, {threads} thread(s), per unit");
    let command = command(tools, "inflight").map(|mut c| {
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
