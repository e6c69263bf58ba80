//! Servers and workers people run, by their command lines: how long each takes to stop, and what it takes TERM for.

use super::Sheet;
use super::place::{Grace, Place};
use graceshut::format_duration;
use std::fs;
use std::time::Duration;

/// Gunicorn's own, unless told.
const GUNICORN: Duration = Duration::from_secs(30);

/// Examines the program itself.
pub fn check(sheet: &mut Sheet<'_>, argv: &[String], place: &Place) {
    let argv = without_interpreter(argv);
    let Some(program) = argv.first() else { return };
    match program.rsplit('/').next().unwrap_or(program) {
        "gunicorn" => gunicorn(sheet, argv, place),
        "uvicorn" => uvicorn(sheet, argv, place),
        "celery" => celery(sheet, argv, place),
        "uwsgi" => uwsgi(sheet, argv, place),
        "nginx" => nginx(sheet, place),
        name => dev_server(sheet, name, argv, place),
    }
}

/// `python -m gunicorn app` is `gunicorn app`.
pub fn without_interpreter(argv: &[String]) -> &[String] {
    let python = argv.first().is_some_and(|w| w.rsplit('/').next().is_some_and(|b| b.starts_with("python")));
    let module = argv.iter().take(6).position(|w| w == "-m");
    match module {
        Some(at) if python => &argv[at + 1..],
        _ => argv,
    }
}

/// The value of `--name VALUE`, `--name=VALUE` or `-n VALUE`.
fn option<'a>(argv: &'a [String], names: &[&str]) -> Option<&'a str> {
    argv.iter().enumerate().find_map(|(i, w)| {
        if names.contains(&w.as_str()) {
            return argv.get(i + 1).map(String::as_str);
        }
        names.iter().find_map(|n| w.strip_prefix(n)?.strip_prefix('='))
    })
}

fn seconds(text: &str) -> Option<Duration> {
    text.parse::<u32>().ok().map(|n| Duration::from_secs(n.into()))
}

fn gunicorn(sheet: &mut Sheet<'_>, argv: &[String], place: &Place) {
    if argv.iter().any(|w| w == "--reload") {
        reloader(sheet, "gunicorn --reload", place);
    }
    let Some(grace) = &place.grace else { return };
    let told = option(argv, &["--graceful-timeout"]).and_then(seconds).or_else(|| from_file(sheet, argv));
    let needs = told.unwrap_or(GUNICORN);
    if needs >= grace.time {
        let by = if told.is_some() { "" } else { " (its default)" };
        sheet.say(
            "gunicorn-grace",
            place.line,
            format!("gunicorn waits up to {}{by} for its workers, and {} ({}) is all there is before KILL: its workers are killed or orphaned", format_duration(needs), format_duration(grace.time), grace.origin),
            fix(grace, needs, "--graceful-timeout", |d| d.as_secs().to_string()),
        );
    }
}

/// `graceful_timeout = 20` in the file that `-c` names, when it lies beside this one.
fn from_file(sheet: &Sheet<'_>, argv: &[String]) -> Option<Duration> {
    let name = option(argv, &["-c", "--config"]).map_or("gunicorn.conf.py", |n| n.rsplit('/').next().unwrap_or(n));
    let text = fs::read_to_string(sheet.path.parent()?.join(name)).ok()?;
    let value = text.lines().find_map(|l| l.trim().strip_prefix("graceful_timeout")?.trim_start().strip_prefix('='))?;
    seconds(value.split('#').next()?.trim())
}

fn uvicorn(sheet: &mut Sheet<'_>, argv: &[String], place: &Place) {
    if argv.iter().any(|w| w == "--reload") {
        reloader(sheet, "uvicorn --reload", place);
    }
    let limit = option(argv, &["--timeout-graceful-shutdown"]).and_then(seconds);
    match (limit, &place.grace) {
        (None, grace) => {
            let good = grace.as_ref().map_or(20, |g| below(g.time).as_secs());
            sheet.say(
                "uvicorn-unbounded",
                place.line,
                "uvicorn waits for open connections without a limit: one slow client, SSE stream or WebSocket holds it until KILL, and the shutdown of the application never runs",
                format!("add --timeout-graceful-shutdown {good}"),
            );
        }
        (Some(needs), Some(grace)) if needs >= grace.time => sheet.say(
            "uvicorn-grace",
            place.line,
            format!(
                "uvicorn waits up to {} for connections, and {} ({}) is all there is before KILL",
                format_duration(needs),
                format_duration(grace.time),
                grace.origin
            ),
            fix(grace, needs, "--timeout-graceful-shutdown", |d| d.as_secs().to_string()),
        ),
        _ => {}
    }
}

fn celery(sheet: &mut Sheet<'_>, argv: &[String], place: &Place) {
    let worker = argv.iter().any(|w| w == "worker");
    let Some(grace) = place.grace.as_ref().filter(|g| worker && !g.said) else { return };
    sheet.say(
        "celery-grace",
        place.line,
        format!("a celery worker finishes the tasks it has, however long they take, and is killed in the middle of them after {} ({})", format_duration(grace.time), grace.origin),
        format!("say how long the longest task takes: {} {}; or bound it: worker_soft_shutdown_timeout in the celery settings", grace.setting, (grace.unit)(Duration::from_secs(300))),
    );
}

fn uwsgi(sheet: &mut Sheet<'_>, argv: &[String], place: &Place) {
    let given = |name: &str| argv.iter().any(|w| w.trim_start_matches('-') == name || w.starts_with(&format!("--{name}=")));
    let by_file = argv.iter().any(|w| {
        w.ends_with(".ini") || w.ends_with(".yaml") || w.ends_with(".yml") || w.ends_with(".xml") || w.ends_with(".json")
    });
    let term = place.signal.as_deref().is_none_or(|s| crate::signals::parse(s) == Ok(libc::SIGTERM));
    if !given("die-on-term") && !given("hook-master-start") && !by_file && term {
        sheet.say(
            "uwsgi-die-on-term",
            place.line,
            "TERM makes uWSGI reload its workers instead of stop: it is killed at the end of the grace",
            "add --die-on-term",
        );
    }
}

fn nginx(sheet: &mut Sheet<'_>, place: &Place) {
    let quits = place.signal.as_deref().is_some_and(|s| crate::signals::parse(s) == Ok(libc::SIGQUIT));
    if !quits && place.exec_form.starts_with("CMD") {
        sheet.say(
            "nginx-fast-stop",
            place.line,
            "TERM is nginx's fast stop: requests under way are dropped; QUIT lets them end",
            "add STOPSIGNAL SIGQUIT",
        );
    }
}

fn dev_server(sheet: &mut Sheet<'_>, name: &str, argv: &[String], place: &Place) {
    let second = argv.get(1).map_or("", String::as_str);
    let manage = |w: &String| w.ends_with("manage.py");
    if matches!(name, "nodemon" | "ts-node-dev" | "vite") || (name == "flask" && second == "run") {
        reloader(sheet, &format!("{name} {second}"), place);
    } else if argv.iter().any(manage) && argv.iter().any(|w| w == "runserver") {
        reloader(sheet, "manage.py runserver", place);
    }
}

fn reloader(sheet: &mut Sheet<'_>, what: &str, place: &Place) {
    let what = what.trim();
    sheet.say(
        "dev-server",
        place.line,
        format!(
            "`{what}` is for development: it stops without waiting for requests, or stands in front of the process that serves"
        ),
        "run the program under a production server (gunicorn, uvicorn, node itself) here",
    );
}

/// Something safely below a grace.
fn below(grace: Duration) -> Duration {
    Duration::from_secs((grace.as_secs() * 4 / 5).max(1))
}

/// Both ways out: less for the program, or more from the platform.
fn fix(grace: &Grace, needs: Duration, option: &str, text: fn(Duration) -> String) -> String {
    let more = needs + Duration::from_secs(5);
    format!("{option} {}, or {} {}", text(below(grace.time)), grace.setting, (grace.unit)(more))
}
