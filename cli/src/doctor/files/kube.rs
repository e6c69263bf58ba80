//! Kubernetes manifests: the grace period and what preStop leaves of it, readiness, delay, sidecars, commands.

use super::Sheet;
use super::command;
use super::place::{Grace, Place};
use super::shell;
use super::yaml::Node;
use graceshut::{format_duration, parse_duration};
use std::time::Duration;

/// `terminationGracePeriodSeconds`, unless told.
const USUAL: u64 = 30;
/// Images without a shell and without sleep.
const BARE: &[&str] = &["distroless", "chainguard", "cgr.dev", "scratch", "-static"];
/// Programs that others need until they are gone, by container or image name.
const SIDECARS: &[&str] = &[
    "istio-proxy",
    "linkerd-proxy",
    "envoy",
    "cloud-sql-proxy",
    "cloudsql-proxy",
    "otel-collector",
    "opentelemetry-collector",
    "fluent-bit",
    "fluentd",
    "filebeat",
    "vector",
    "datadog-agent",
    "oauth2-proxy",
];

/// Examines a document, and those in a List.
pub fn check(sheet: &mut Sheet<'_>, document: &Node) {
    let kind = document.text_of("kind").unwrap_or_default();
    if kind == "List" {
        document.get("items").into_iter().flat_map(Node::items).for_each(|d| check(sheet, d));
        return;
    }
    let spec = match kind {
        "Pod" => document.get("spec"),
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "Job" => document.at(&["spec", "template", "spec"]),
        "CronJob" => document.at(&["spec", "jobTemplate", "spec", "template", "spec"]),
        _ => None,
    };
    if let Some(spec) = spec {
        pod(sheet, spec, kind);
    }
}

struct Pod {
    grace: u64,
    said: bool,
    /// Clients come to it by a Service.
    serves: bool,
    /// Several of it behind one address.
    many: bool,
}

fn pod(sheet: &mut Sheet<'_>, spec: &Node, kind: &str) {
    let said = spec.text_of("terminationGracePeriodSeconds").and_then(|t| t.parse::<u64>().ok());
    let pod = Pod {
        grace: said.unwrap_or(USUAL),
        said: said.is_some(),
        serves: matches!(kind, "Pod" | "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet"),
        many: matches!(kind, "Deployment" | "StatefulSet" | "ReplicaSet"),
    };
    let line = spec.line_of("terminationGracePeriodSeconds").unwrap_or(spec.line);
    if pod.grace < 2 {
        sheet.say(
            "grace-zero",
            line,
            format!("terminationGracePeriodSeconds: {} leaves nothing between TERM and KILL", pod.grace),
            "terminationGracePeriodSeconds: 30",
        );
        return;
    }
    let containers: Vec<&Node> = spec.get("containers").into_iter().flat_map(Node::items).collect();
    let programs = containers.iter().filter(|c| sidecar(c).is_none()).count();
    for c in &containers {
        if let Some(name) = sidecar(c).filter(|_| programs > 0) {
            sheet.say(
                "kube-sidecar-order",
                c.line_of("name").unwrap_or(c.line),
                format!("{name} gets TERM together with the program that needs it until its end, and may be gone first"),
                "move it to initContainers with restartPolicy: Always (a native sidecar): those are stopped after all containers, in reverse order",
            );
        } else {
            container(sheet, &pod, c);
        }
    }
}

fn sidecar(container: &Node) -> Option<String> {
    let image = container.text_of("image").unwrap_or_default();
    let image = image.rsplit('/').next().unwrap_or(image).split([':', '@']).next().unwrap_or_default();
    let name = container.text_of("name").unwrap_or_default();
    SIDECARS.iter().any(|s| name == *s || image == *s).then(|| name.to_owned())
}

fn container(sheet: &mut Sheet<'_>, pod: &Pod, c: &Node) {
    let line = c.line_of("name").unwrap_or(c.line);
    let name = c.text_of("name").unwrap_or("the container");
    let prestop = c.at(&["lifecycle", "preStop"]);
    let slept = prestop.and_then(sleep_of);
    bare_image(sheet, c, prestop);
    if let Some((s, at)) = slept.filter(|(s, _)| *s >= pod.grace) {
        sheet.say(
            "kube-prestop-grace",
            at,
            format!("preStop waits {s} s, and it counts inside the grace period of {} s: nothing is left for the program, which is killed 2 s after its TERM", pod.grace),
            format!("terminationGracePeriodSeconds: {}", s + USUAL),
        );
        return;
    }
    let slept = slept.map_or(0, |(s, _)| s);
    let env: Vec<&Node> = c.get("env").into_iter().flat_map(Node::items).collect();
    let graceshut = env.iter().any(|e| e.text_of("name").is_some_and(|n| n.starts_with("GRACESHUT_")));
    plan(sheet, pod, &env, slept, line);
    let traffic =
        c.get("ports").into_iter().flat_map(Node::items).any(|p| !p.text_of("name").is_some_and(|n| n.contains("metrics")));
    if traffic && pod.serves && c.get("readinessProbe").is_none() {
        sheet.say(
            "kube-readiness",
            line,
            format!("{name} takes traffic and has no readinessProbe: it gets requests before it can answer them, and a rollout does not wait for it"),
            "readinessProbe: {httpGet: {path: /readyz, port: PORT}, periodSeconds: 2}",
        );
    }
    if traffic && pod.many && prestop.is_none() && !graceshut {
        sheet.say(
            "kube-no-delay",
            line,
            format!("{name} gets TERM at the same moment as its address is taken out of the Service: requests arrive for seconds after it stopped listening"),
            "lifecycle: {preStop: {sleep: {seconds: 5}}}, or graceshut in the program, which waits by itself on Kubernetes (announce_delay)",
        );
    }
    commands(sheet, pod, c, slept);
}

fn commands(sheet: &mut Sheet<'_>, pod: &Pod, c: &Node, slept: u64) {
    let words =
        |key: &str| c.get(key).into_iter().flat_map(Node::items).filter_map(Node::text).map(str::to_owned).collect::<Vec<_>>();
    let (command, args) = (words("command"), words("args"));
    if command.is_empty() && args.is_empty() {
        return;
    }
    let argv = [command, args].concat();
    let line = c.line_of("command").or(c.line_of("args")).unwrap_or(c.line);
    let origin = match (pod.said, slept) {
        (true, 0) => "terminationGracePeriodSeconds".to_owned(),
        (false, 0) => "no terminationGracePeriodSeconds is set".to_owned(),
        (_, s) => format!("the grace period of {} s less {s} s of preStop", pod.grace),
    };
    let grace = Grace {
        time: Duration::from_secs(pod.grace - slept),
        origin,
        said: pod.said,
        setting: "terminationGracePeriodSeconds:",
        unit: |d| d.as_secs().to_string(),
    };
    let place = Place { line, grace: Some(grace), signal: None, exec_form: "command: [WORDS]", wrapper_is_fine: false };
    command::check(sheet, &argv, &place);
}

/// How long preStop waits, when that can be seen: native sleep, or a command that is nothing but sleep; and its line.
fn sleep_of(prestop: &Node) -> Option<(u64, usize)> {
    if let Some(sleep) = prestop.get("sleep") {
        return Some((sleep.text_of("seconds")?.parse().ok()?, sleep.line_of("seconds")?));
    }
    let exec = prestop.at(&["exec", "command"])?;
    let argv: Vec<String> = exec.items().filter_map(Node::text).map(str::to_owned).collect();
    let script = shell::script_of(&argv).map(str::to_owned).unwrap_or_else(|| argv.join(" "));
    let waits = shell::commands(&script).into_iter().filter_map(|c| {
        let words = shell::words(&c);
        let sleep = words.first().is_some_and(|w| w.rsplit('/').next() == Some("sleep"));
        words.get(1).filter(|_| sleep)?.trim_end_matches('s').parse::<u64>().ok()
    });
    let sum: u64 = waits.sum();
    (sum > 0).then_some((sum, exec.line))
}

fn bare_image(sheet: &mut Sheet<'_>, c: &Node, prestop: Option<&Node>) {
    let image = c.text_of("image").unwrap_or_default();
    let Some(exec) = prestop.and_then(|p| p.at(&["exec", "command"])) else { return };
    let program = exec.items().next().and_then(Node::text).unwrap_or_default();
    let base = program.rsplit('/').next().unwrap_or(program);
    if BARE.iter().any(|b| image.contains(b)) && matches!(base, "sleep" | "sh" | "bash") {
        sheet.say(
            "kube-prestop-sleep",
            exec.line,
            format!("{image} has no {base}: preStop fails at once, and TERM comes without any delay"),
            "preStop: {sleep: {seconds: 5}} (the kubelet itself waits), or preStop: {httpGet: {path: /prestop, port: ADMIN}} with graceshut's admin endpoint",
        );
    }
}

fn plan(sheet: &mut Sheet<'_>, pod: &Pod, env: &[&Node], slept: u64, line: usize) {
    let value = |name: &str| {
        let entry = env.iter().find(|e| e.text_of("name") == Some(name))?;
        Some((parse_duration(entry.text_of("value")?).ok()?, entry.line_of("value").unwrap_or(line)))
    };
    let Some((counts, at)) = value("GRACESHUT_GRACE") else { return };
    let spent = value("GRACESHUT_ALREADY_SPENT").map_or(Duration::ZERO, |(d, _)| d);
    let given = Duration::from_secs(pod.grace);
    let needs = counts + Duration::from_secs(slept).saturating_sub(spent);
    if needs > given {
        let prestop = if slept > 0 { format!(" after {slept} s of preStop") } else { String::new() };
        sheet.say(
            "plan-grace",
            at,
            format!(
                "graceshut plans with {} (GRACESHUT_GRACE){prestop}, and KILL comes {} s after the pod was told to stop",
                format_duration(counts),
                pod.grace
            ),
            format!("terminationGracePeriodSeconds: {}", needs.as_secs_f64().ceil()),
        );
    }
}
