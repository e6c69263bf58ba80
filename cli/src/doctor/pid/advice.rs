//! From facts to findings: what a TERM to this process comes to, each with the exact fix.

use super::facts::{Action, Facts, Runtime};
use crate::doctor::finding::Finding;
use crate::signals;
use graceshut::config::Origin;

const SHELLS: &[&str] = &["sh", "bash", "dash", "ash", "zsh", "ksh", "busybox"];

/// All of it.
pub fn of(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut say = |code: &'static str, why: String, fix: &str| {
        found.push(Finding { code, file: String::new(), line: 0, why, fix: fix.to_owned() });
    };
    if facts.state == 'Z' {
        say(
            "pid-zombie",
            "it has ended; only its status is left, for its parent to ask for".into(),
            "start the parent of all under an init that reaps: docker run --init, `init: true`, or graceshut run",
        );
        return found;
    }
    if matches!(facts.state, 'T' | 't') {
        say(
            "pid-stopped",
            "it is stopped (SIGSTOP, a debugger): a TERM waits until somebody sends CONT, the grace does not".into(),
            &format!("kill -CONT {}", facts.pid),
        );
    }
    wrapper(facts, &mut say);
    term(facts, &mut say);
    handlers(facts, &mut say);
    children(facts, &mut say);
    grace(facts, &mut say);
    found
}

type Say<'a> = &'a mut dyn FnMut(&'static str, String, &str);

/// Shells with something behind them, and package managers.
fn wrapper(facts: &Facts, say: Say<'_>) {
    let program = facts.program();
    let behind = facts.children.first().map(|c| format!("{} {}", c.pid, crate::verify::plain(&c.command, 60)));
    if let (true, Some(child)) = (is_shell(facts), &behind) {
        let of_one = if facts.inner_pid == 1 { "is PID 1" } else { "gets the signal" };
        say(
            "pid-shell",
            format!(
                "{program} {of_one} and does not pass it on: {child} never hears of it, and is killed or orphaned at the end of the grace"
            ),
            "start the program with exec (`exec my-program` as the last line of the script), or in exec form: CMD [\"my-program\"]",
        );
    }
    if let Some(manager) = package_manager(facts) {
        let child = behind.unwrap_or_else(|| "the program".to_owned());
        say(
            "pid-npm",
            format!(
                "{manager} stands in front of {child}: it starts it through a shell, passes TERM on late or not at all, and ends with its own status"
            ),
            "start the program itself: CMD [\"node\", \"server.js\"] instead of `npm start`",
        );
    }
}

/// The program is a shell.
pub fn is_shell(facts: &Facts) -> bool {
    let exe = facts.exe.as_ref().and_then(|e| e.file_name()).map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    SHELLS.contains(&exe.as_str()) || (facts.exe.is_none() && SHELLS.contains(&facts.program().as_str()))
}

/// npm and its like run in node, and call themselves `npm start`.
pub fn package_manager(facts: &Facts) -> Option<&'static str> {
    const MANAGERS: &[&str] = &["npm", "npx", "yarn", "pnpm"];
    let words: Vec<&str> = facts.argv.iter().take(2).flat_map(|w| w.split_whitespace()).take(2).collect();
    let base = |w: &str| w.rsplit('/').next().unwrap_or(w).to_owned();
    words.iter().find_map(|w| {
        let name = base(w);
        MANAGERS
            .iter()
            .copied()
            .find(|m| name == *m || name == format!("{m}-cli.js") || name == format!("{m}.js") || name == format!("{m}.cjs"))
    })
}

fn term(facts: &Facts, say: Say<'_>) {
    let term = libc::SIGTERM;
    if is_shell(facts) && !facts.children.is_empty() {
        return;
    }
    let blocked = Facts::has(facts.blocked, term);
    if blocked && Facts::has(facts.pending, term) {
        say(
            "pid-term-pending",
            "TERM was sent to it, is blocked in every thread, and nobody has taken it".into(),
            "unblock it (pthread_sigmask), or read it by sigwait or signalfd in a thread that is not busy",
        );
        return;
    }
    if blocked && !facts.signalfd {
        say(
            "pid-term-blocked",
            "TERM is blocked in every thread: it is taken by sigwait, which cannot be seen from here, or never".into(),
            "test it: graceshut verify -- COMMAND",
        );
        return;
    }
    if blocked {
        return;
    }
    match facts.action(term) {
        Action::Caught => {}
        Action::Ignored => say(
            "pid-term-ignored",
            "TERM is ignored: nothing happens until KILL at the end of the grace".into(),
            "install a handler (graceshut takes TERM also where it was inherited as ignored), or do not start it with TERM ignored (`trap '' TERM` in a script)",
        ),
        Action::Default if facts.inner_pid == 1 => say(
            "pid-term-pid1",
            "it is PID 1 of its container and has no handler: the kernel drops TERM, and KILL comes at the end of the grace"
                .into(),
            "install a handler, or put an init in front: docker run --init, `init: true` in compose, or graceshut run",
        ),
        Action::Default => say(
            "pid-term-default",
            "there is no handler for TERM: it ends the process at once, in the middle of whatever it does".into(),
            "install a handler: graceshut.install() in its language, before it begins to serve",
        ),
    }
}

fn handlers(facts: &Facts, say: Say<'_>) {
    if let Some((copy, file)) = facts.leader() {
        for signo in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
            let Some((address, place)) = facts.handlers.get(&signo) else { continue };
            if !copy.handles(*address) {
                let name = signals::name(signo);
                say(
                    "pid-handler-replaced",
                    format!(
                        "{name} is handled by {place}, and not by graceshut {} in {file}: it replaced graceshut's handler",
                        copy.version
                    ),
                    &format!(
                        "make {place} leave {name} alone (most libraries have an option), or load and start it before graceshut's install; \
                              the report's `handler` tells how often graceshut put its own back"
                    ),
                );
            }
        }
        return;
    }
    let own = |place: &str| match facts.runtime {
        Runtime::Java => place.ends_with("/libjvm.so") || place.ends_with("/libjsig.so"),
        Runtime::Python => facts.exe.as_ref().is_some_and(|e| e.as_os_str() == place) || place.contains("/libpython"),
        Runtime::Node => {
            facts.exe.as_ref().is_some_and(|e| e.as_os_str() == place) || place.contains("/libnode") || place.contains("/libuv")
        }
        Runtime::Go | Runtime::Native => facts.exe.as_ref().is_some_and(|e| e.as_os_str() == place),
    };
    let foreign = facts.handlers.get(&libc::SIGTERM).filter(|(_, place)| !own(place));
    if let Some((_, place)) = foreign {
        let whose = match facts.runtime {
            Runtime::Native => {
                "the program's own handler, if it has one, never hears of it unless that library calls it".to_owned()
            }
            r => format!(
                "{}'s own handling of TERM (and whatever is registered there) never hears of it unless that library calls it",
                r.name()
            ),
        };
        say(
            "pid-handler-foreign",
            format!("TERM is handled by {place}: {whose}"),
            &format!(
                "find out which option of {place} turns its signal handling off, or load it before the program installs its own"
            ),
        );
    }
}

fn children(facts: &Facts, say: Say<'_>) {
    if facts.children.is_empty() || is_shell(facts) || package_manager(facts).is_some() {
        return;
    }
    let named: Vec<String> =
        facts.children.iter().take(4).map(|c| format!("{} {}", c.pid, crate::verify::plain(&c.command, 50))).collect();
    let more = if facts.children.len() > 4 { format!(" and {} more", facts.children.len() - 4) } else { String::new() };
    say(
        "pid-children",
        format!("a TERM to it alone does not reach {}{more}: what it does not end itself is orphaned", named.join(", ")),
        "end them in a hook (phase close), or start them with PR_SET_PDEATHSIG; `graceshut verify` tells which are left behind",
    );
}

/// Somebody set a grace above what the platform usually gives.
fn grace(facts: &Facts, say: Say<'_>) {
    let Ok(config) = &facts.config else { return };
    if matches!(config.grace.origin, Origin::Platform(_) | Origin::Told(_) | Origin::Default) {
        return;
    }
    if let Some((platform, usual)) = super::usual_grace(facts).filter(|(_, usual)| *usual < config.grace.value) {
        let d = graceshut::format_duration;
        say(
            "pid-grace",
            format!(
                "it counts on a grace of {} ({}), and {platform} kills after {} unless it was told otherwise",
                d(config.grace.value),
                config.grace.origin,
                d(usual)
            ),
            "raise the platform's (terminationGracePeriodSeconds, stop_grace_period, stopwaitsecs, kill_timeout), or lower GRACESHUT_GRACE below it",
        );
    }
}
