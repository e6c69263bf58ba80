//! `graceshut run`: a program, or several, with graceshut's phases around their end.
//!
//! | room | what it knows |
//! |---|---|
//! | `args` | the command line |
//! | `inherit`, `taken` | what `run` was started with; signals as they arrive |
//! | `child`, `user`, `output` | starting a program |
//! | `unit` | one program: its state, its stop |
//! | `keeper`, `grace` | the loop over all of it; stopping |
//! | `forward`, `tree`, `tty`, `ready` | what becomes of a signal; who belongs to a program; the terminal; readiness |
//! | `post` | what other threads tell the loop |
//! | `sys` | system calls |

mod args;
pub mod child;
pub mod forward;
mod grace;
pub mod inherit;
mod keeper;
mod output;
mod post;
mod ready;
pub mod sys;
pub mod taken;
mod tree;
pub mod tty;
mod unit;
mod user;

pub use args::Args;

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use graceshut::ProcessDecl;
use graceshut::config::{Config, Sources, processes, resolve};
use graceshut::{DeclKind, Exit, ExitPlan, Host, Installer, Options, Order, ReadyWhen, Runtime};

use crate::elsewhere;
use child::{Place, Program};
use keeper::{Keeper, Living, Manners, TimeLimit};
use post::{Note, Post};
use taken::Signals;
use tty::Terminal;
use unit::{Restarts, State, Target, Unit};
use user::User;

/// An error of graceshut itself.
pub const OWN_ERROR: u8 = 125;

/// Leaves when the loop says so.
struct LoopHost {
    post: Post,
    living: Living,
    reaper: bool,
}

impl Host for LoopHost {
    fn language(&self) -> &str {
        "run"
    }

    fn version(&self) -> String {
        env!("CARGO_PKG_VERSION").to_owned()
    }

    fn exit(&self, plan: ExitPlan) {
        self.post.send(Note::Finished(plan));
    }

    fn leaving_at_once(&self) {
        self.living.kill();
        if self.reaper {
            tree::descendants().into_iter().for_each(|pid| drop(sys::kill(pid, libc::SIGKILL)));
        }
    }

    fn leaves_by_wait(&self) -> bool {
        false
    }

    fn waits_for_exit(&self) -> bool {
        true
    }

    /// There are no handlers that anybody could replace.
    fn must_poll(&self) -> bool {
        false
    }
}

/// Runs the command; does not return where it gets as far as leaving with the plan's status.
pub fn run(args: Args) -> ExitCode {
    let inherited = inherit::take();
    let env = child::environment();
    match prepare(&args, inherited, env) {
        Ok(mut keeper) => {
            if let Err(e) = begin(&mut keeper, &args) {
                return e.tell();
            }
            let plan = keeper.keep();
            remove_pidfile(&args);
            graceshut::exit_now(plan.code);
            // Another thread owns the exit.
            ExitCode::from(plan.code as u8)
        }
        Err(e) => e.tell(),
    }
}

/// Why `run` came to nothing.
struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    fn own(message: impl Into<String>) -> Failure {
        Failure { code: OWN_ERROR, message: message.into() }
    }

    fn tell(&self) -> ExitCode {
        eprintln!("graceshut: {}", self.message);
        ExitCode::from(self.code)
    }
}

fn prepare(args: &Args, inherited: inherit::Inherited, env: Vec<(OsString, OsString)>) -> Result<Keeper, Failure> {
    say_by_environment(args);
    // No watchdog: it would leave without ending what runs, and the loop, which ends both, waits for nobody.
    let options =
        Options { exit_code_clean: Some(0), exit_code_forced: Some(137), watchdog: Some(false), ..Options::default() };
    let sources = Sources::from_process();
    let own = |e: graceshut::Error| Failure::own(e.to_string());
    let config = resolve(options.clone(), &sources).map_err(own)?;
    if !elsewhere::is_here() && config.hooks.iter().any(|hook| matches!(hook.kind, DeclKind::Wasm(_))) {
        return Err(Failure::own(inherited.hand_over()));
    }
    let processes = processes(&sources, &config.plan).map_err(own)?;
    check(args, &config, &processes)?;
    let pid1 = sys::own_pid() == 1;
    if args.subreaper && !pid1 {
        sys::become_subreaper().map_err(|e| Failure::own(format!("--subreaper: {e}")))?;
    }
    if let Some(signo) = args.pdeathsig {
        sys::set_parent_death_signal(signo).map_err(|e| Failure::own(format!("--pdeathsig: {e}")))?;
    }
    let os = |what: &'static str| move |e: std::io::Error| Failure::own(format!("cannot make {what}: {e}"));
    let post = Post::new().map_err(os("a descriptor"))?;
    let signals = Signals::open().map_err(os("a descriptor for signals"))?;
    let living = Living::default();
    let gs = Installer::new(Box::new(LoopHost { post: post.clone(), living: living.clone(), reaper: pid1 || args.subreaper }))
        .signals_by_program(inherited.mask)
        .install(options)
        .map_err(|e| Failure::own(e.to_string()))?;
    let several = args.command.is_empty();
    let units = stop_hooks(args, &config, &processes, &gs, &post).and_then(|names| units(args, &processes, &env, &gs, &names));
    // With nothing started there is nothing to stop.
    let units = units.inspect_err(|_| drop(gs.uninstall()))?;
    let mut rewrites = forward::Rewrites::none();
    args.rewrite.iter().for_each(|(from, to)| rewrites.set(*from, *to));
    let manners = Manners {
        rewrites,
        remap: args.remap.clone(),
        rest_grace: args.rest_grace,
        time_limit: args.for_.map(|limit| TimeLimit {
            limit,
            signal: args.signal,
            kill_after: args.kill_after,
            preserve_status: args.preserve_status,
        }),
        verbose: args.verbose,
        reaper: pid1 || args.subreaper,
        pid1,
    };
    Ok(Keeper {
        units,
        manners,
        inherited,
        signals,
        post,
        gs,
        living,
        terminal: if several || args.session { None } else { Terminal::of_stdin() },
        several,
        came: None,
        expires: None,
        timed_out: false,
        warned: false,
    })
}

/// The command line beats the environment: it is put in its place, for this process alone.
fn say_by_environment(args: &Args) {
    let grace = args.grace.map(|g| OsString::from(graceshut::format_duration(g)));
    let said: [(&str, Option<OsString>); 4] = [
        ("GRACESHUT_GRACE", grace),
        ("GRACESHUT_CONFIG", args.config.clone().map(Into::into)),
        ("GRACESHUT_ADMIN", args.admin.clone().map(Into::into)),
        ("GRACESHUT_REPORT", args.report.clone().map(Into::into)),
    ];
    for (name, value) in said {
        if let Some(value) = value {
            // SAFETY: no other thread is there yet.
            unsafe { std::env::set_var(name, value) };
        }
    }
}

fn check(args: &Args, config: &Config, processes: &[ProcessDecl]) -> Result<(), Failure> {
    if config.exit.value == Exit::Manual {
        return Err(Failure::own("exit = \"manual\" is for programs that go on afterwards; graceshut run always leaves"));
    }
    match (args.command.is_empty(), processes.is_empty()) {
        (true, true) => Err(Failure::own(
            "nothing to run: give a command (graceshut run -- CMD ARG...) or [[process]] tables in graceshut.toml",
        )),
        (false, false) => Err(Failure::own(
            "graceshut.toml has [[process]] tables and a command is given as well; leave one of them out (--config /dev/null reads no file)",
        )),
        _ => Ok(()),
    }
}

/// Registers the stop of each program as a hook, in its phase. Answers their names.
fn stop_hooks(
    args: &Args,
    config: &Config,
    processes: &[ProcessDecl],
    gs: &Runtime,
    post: &Post,
) -> Result<Vec<String>, Failure> {
    let own = |e: graceshut::Error| Failure::own(e.to_string());
    if let Some(program) = args.command.first() {
        let name = std::path::Path::new(program).file_name().unwrap_or(OsStr::new("command")).to_string_lossy().into_owned();
        register(gs.hook(&args.phase, &name), 0, post).map_err(own)?;
        return Ok(vec![name]);
    }
    for (i, p) in processes.iter().enumerate() {
        let mut hook = gs.hook(&p.phase, &p.name).optional(!p.required);
        if let Some(limit) = p.stop_timeout {
            hook = hook.timeout(limit);
        }
        // Whoever came after this one goes before it. In a serial phase that is so anyway: last registered first.
        let concurrent = config.plan.phases().iter().any(|q| q.name == p.phase && q.order == Order::Concurrent);
        if concurrent {
            let later = processes.iter().filter(|q| q.phase == p.phase && q.after.contains(&p.name));
            for q in later {
                hook = hook.after(&q.name);
            }
        }
        register(hook, i, post).map_err(own)?;
    }
    Ok(processes.iter().map(|p| p.name.clone()).collect())
}

fn register(hook: graceshut::HookBuilder, unit: usize, post: &Post) -> Result<(), graceshut::Error> {
    let post = post.clone();
    let registered = hook.process(move |context, completion| {
        let (on_cancel, on_kill) = (post.clone(), post.clone());
        context.on_cancel_inline(move || on_cancel.send(Note::Look));
        context.on_kill(move || on_kill.send(Note::Look));
        post.send(Note::Stop(unit, context, completion));
    });
    registered.map(drop)
}

fn units(
    args: &Args,
    processes: &[ProcessDecl],
    env: &[(OsString, OsString)],
    gs: &Runtime,
    names: &[String],
) -> Result<Vec<Unit>, Failure> {
    let rows = gs.plan().rows;
    let failed = |name: &str, message: String| Failure::own(format!("process \"{name}\": {message}"));
    if !args.command.is_empty() {
        let env = environment(args, env, &[], boxed(&rows, &args.phase, None));
        let program = Program::new(&args.command, &env).map_err(|e| Failure { code: e.code as u8, message: e.message })?;
        return Ok(vec![Unit {
            name: names.first().cloned().unwrap_or_default(),
            program,
            place: if args.session { Place::Session } else { Place::Group },
            target: if args.child { Target::Child } else { Target::Group },
            stop_signal: args.stop_signal,
            after: Vec::new(),
            required: true,
            restart: None,
            ready: ReadyWhen::Started,
            ready_timeout: std::time::Duration::ZERO,
            state: State::Waits(None),
            stopping: None,
            group: None,
        }]);
    }
    let unit = |p: &ProcessDecl| {
        let argv: Vec<OsString> = p.command.iter().map(OsString::from).collect();
        let env = environment(args, env, &p.env, boxed(&rows, &p.phase, p.stop_timeout));
        let program = Program::new(&argv, &env).map_err(|e| failed(&p.name, e.message))?;
        let user = p.user.as_deref().map(User::parse).transpose().map_err(|e| failed(&p.name, e))?;
        Ok(Unit {
            name: p.name.clone(),
            program: program.in_dir(p.dir.as_deref()).with_user(user),
            place: Place::Group,
            target: if args.child { Target::Child } else { Target::Group },
            stop_signal: Some(p.stop_signal),
            after: p.after.clone(),
            required: p.required,
            restart: Restarts::of(p),
            ready: p.ready.clone(),
            ready_timeout: p.ready_timeout,
            state: State::Waits(None),
            stopping: None,
            group: None,
        })
    };
    processes.iter().map(unit).collect()
}

/// What a program of that phase can count on.
fn boxed(rows: &[graceshut::plan::PreviewRow], phase: &str, limit: Option<std::time::Duration>) -> std::time::Duration {
    let worst = rows.iter().find(|r| r.phase == phase).map_or(std::time::Duration::ZERO, |r| r.worst);
    limit.map_or(worst, |l| l.min(worst)).max(std::time::Duration::from_millis(200))
}

/// The environment of a program (spec 10.3).
fn environment(
    args: &Args,
    env: &[(OsString, OsString)],
    own: &[(String, String)],
    grace: std::time::Duration,
) -> Vec<(OsString, OsString)> {
    const TAKEN_OUT: [&str; 6] = [
        "GRACESHUT_GRACE",
        "GRACESHUT_CONFIG",
        "GRACESHUT_REPORT",
        "GRACESHUT_JOURNAL",
        "GRACESHUT_ADMIN",
        "GRACESHUT_ADMIN_TOKEN",
    ];
    let named = |k: &OsString| own.iter().any(|(name, _)| k == name.as_str());
    let mut all: Vec<(OsString, OsString)> =
        env.iter().filter(|(k, _)| !named(k) && !TAKEN_OUT.iter().any(|t| k == t)).cloned().collect();
    let mut add = |k: &str, v: OsString| {
        if !named(&OsString::from(k)) {
            all.push((k.into(), v));
        }
    };
    add("GRACESHUT_GRACE", graceshut::format_duration(whole_milliseconds(grace)).into());
    match (&args.child_config, read_a_file()) {
        (Some(path), _) => add("GRACESHUT_CONFIG", path.clone().into()),
        (None, true) => add("GRACESHUT_CONFIG", "/dev/null".into()),
        (None, false) => {}
    }
    all.extend(own.iter().map(|(k, v)| (k.into(), v.into())));
    all
}

fn whole_milliseconds(d: std::time::Duration) -> std::time::Duration {
    std::time::Duration::from_millis(u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

/// Something of the configuration came from a file, or one is named.
fn read_a_file() -> bool {
    let named = std::env::var_os("GRACESHUT_CONFIG").is_some();
    named || std::path::Path::new("graceshut.toml").exists()
}

/// Starts the one program, and writes the pidfile.
fn begin(keeper: &mut Keeper, args: &Args) -> Result<(), Failure> {
    if let Some(path) = &args.pidfile {
        let failed = |e| Failure::own(format!("cannot write {}: {e}", path.display()));
        std::fs::write(path, format!("{}\n", sys::own_pid())).map_err(failed)?;
    }
    if keeper.several {
        return Ok(());
    }
    keeper.start_one(0).map(drop).map_err(|e| {
        // No phase has anything to do: nothing was started.
        let _ = keeper.gs.uninstall();
        remove_pidfile(args);
        Failure { code: e.code as u8, message: e.message }
    })
}

fn remove_pidfile(args: &Args) {
    if let Some(path) = &args.pidfile {
        let _ = std::fs::remove_file(path); // whoever reads it finds the pid gone either way
    }
}
