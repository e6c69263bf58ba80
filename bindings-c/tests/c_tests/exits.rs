//! The table of how a C program ends (spec 2.6) and the exit statuses (spec 6.4), row by row; repeated signals (spec 7).

use libc::{SIGABRT, SIGHUP, SIGINT, SIGSEGV, SIGTERM};

use crate::Test;
use crate::child::{End, start, start_with};
use End::{Code, Signal};

const RAN: &str = "hook flush/b";

/// A row of 2.6: the program ends by itself. Do hooks run, and how does it leave?
fn itself(scenario: &'static str, hooks_run: bool, end: End) -> Test {
    Test::new(format!("host_end_{scenario}"), move |k| {
        let e = start(k, "exits", scenario).end();
        e.left(end);
        if hooks_run {
            e.said(&[RAN])
        } else {
            e.silent(RAN)
        };
        if hooks_run && e.reported() {
            assert_eq!(e.report["reason"]["kind"], "host_end", "{e:#?}");
        }
    })
}

/// A row of 6.4: a signal comes.
fn signalled(scenario: &'static str, signo: i32, outcome: &'static str, end: End) -> Test {
    Test::new(format!("status_{scenario}_{signo}"), move |k| {
        let e = start(k, "exits", scenario).ready().kill(signo).end();
        e.left(end).outcome(outcome).said(&[RAN]).within(300);
    })
}

pub fn tests() -> Vec<Test> {
    let mut list = vec![
        itself("return0", true, Code(0)).everywhere(),
        itself("return5", true, Code(5)),
        itself("exit0", true, Code(0)),
        itself("exit3", true, Code(3)).everywhere(),
        itself("exit_in_thread", true, Code(9)),
        itself("degraded_exit0", true, Code(1)),
        itself("degraded_exit4", true, Code(4)),
        itself("aborts", false, Signal(SIGABRT)),
        itself("under_exit", false, Code(6)),
        itself("quick", false, Code(7)),
        itself("segv", false, Signal(SIGSEGV)),
        itself("manual_return", false, Code(22)),
        itself("teller_exit5", false, Code(5)),
        itself("teller_return0", false, Code(0)),
        itself("teller_told", true, Code(1)),
        Test::new("a_binding_warns_once", |k| {
            let e = start(k, "exits", "teller_told").end();
            assert!(!e.reported() || e.report["warnings"] == serde_json::json!(["something the reader should know"]), "{e:#?}");
        }),
        Test::new("exit_told_by_the_completion", |k| {
            let e = start_with(k, "exits", &["proposed_exit"], &[("STATUS", "7")]).ready().kill(SIGTERM).end();
            e.left(Code(7)).outcome("degraded").hook_was("exits", "failed").said(&[RAN]);
            let e = start_with(k, "exits", &["proposed_exit"], &[("STATUS", "0")]).ready().kill(SIGTERM).end();
            e.left(Code(0)).outcome("clean").hook_was("exits", "ok").said(&[RAN]);
        }),
        signalled("loop", SIGTERM, "clean", Code(0)).everywhere(),
        signalled("loop", SIGINT, "clean", Signal(SIGINT)),
        signalled("loop", SIGHUP, "clean", Code(0)),
        signalled("loop_reraise", SIGTERM, "clean", Signal(SIGTERM)),
        signalled("loop_codes", SIGTERM, "clean", Code(40)),
        signalled("loop_codes", SIGINT, "clean", Code(40)),
        signalled("loop_degraded", SIGTERM, "degraded", Code(1)),
        signalled("loop_degraded", SIGINT, "degraded", Code(1)),
        signalled("waits", SIGTERM, "clean", Code(0)).everywhere(),
        signalled("waits", SIGINT, "clean", Signal(SIGINT)),
        signalled("waits_own", SIGTERM, "clean", Code(8)),
        signalled("waits_degraded", SIGTERM, "degraded", Code(1)),
        signalled("wait_limit", SIGTERM, "clean", Code(0)),
    ];
    list.extend(more());
    list.extend(repeated());
    list
}

fn more() -> Vec<Test> {
    vec![
        Test::new("stop_and_wait", |k| {
            start(k, "exits", "stops").end().code(0).outcome("clean").said(&[RAN]);
        })
        .everywhere(),
        Test::new("stdio_and_atexit_when_nobody_waits", |k| {
            let e = start_with(k, "exits", &["loop_stdio"], &[("SAY_DESTRUCTOR", "1")]).ready().kill(SIGTERM).end();
            e.code(0).said(&[RAN, "atexit", "destructor", "buffered"]);
        }),
        Test::new("exit_in_a_hook_proposes_its_code_loop", |k| {
            let e = start(k, "exits", "exit_in_hook_loop").ready().kill(SIGTERM).end();
            e.code(3).said(&[RAN]).hook_was("exits", "failed").within(300);
        })
        .everywhere(),
        Test::new("exit_in_a_hook_proposes_its_code_wait", |k| {
            let e = start(k, "exits", "exit_in_hook_wait").ready().kill(SIGTERM).end();
            e.code(3).said(&["atexit", RAN]).within(300); // registered last, called first
        }),
        Test::new("exit_0_in_a_hook_is_ok", |k| {
            let e = start(k, "exits", "exit0_in_hook_wait").ready().kill(SIGTERM).end();
            e.code(0).outcome("clean").said(&[RAN]).hook_was("exits", "ok").within(300);
        }),
        Test::new("exits_in_hooks_and_in_main_meet", |k| {
            start(k, "exits", "exit_in_hook_exit").end().code(3).said(&[RAN]);
        }),
        Test::new("no_static_destructors_under_an_abandoned_hook", |k| {
            let e = start_with(k, "exits", &["hung_hook"], &[("SAY_DESTRUCTOR", "1")]).ready().kill(SIGTERM).end();
            e.code(1)
                .outcome("degraded")
                .said(&["hanging", RAN])
                .silent("destructor")
                .hook_was("hangs", "abandoned")
                .within(600);
        }),
        Test::new("a_hung_atexit_handler_changes_neither_outcome_nor_code", |k| {
            let e = start(k, "exits", "hung_atexit").ready().kill(SIGTERM).end();
            e.code(0).outcome("clean").said(&[RAN, "hung atexit"]).within(1100);
        }),
        Test::new("everything_hangs_until_the_deadline", |k| {
            let e = start(k, "exits", "deadline").ready().kill(SIGTERM).end();
            e.code(143).outcome("forced").within(1000);
        }),
        Test::new("forced_without_a_signal_is_70", |k| {
            start(k, "exits", "deadline_stop").end().code(70).outcome("forced");
        }),
        Test::new("grace_normal_none_has_no_deadline_until_a_signal", |k| {
            let mut c = start(k, "exits", "normal_none");
            c.ready().line("slow").pause(900); // three times the grace of a signal
            assert!(c.lives(), "it ended without a deadline");
            let e = c.kill(SIGTERM).end();
            e.said(&[RAN]).within(300);
            assert!(matches!(e.end, Code(1 | 143)), "{e:#?}");
        }),
        Test::new("grace_normal_of_its_own", |k| {
            let e = start(k, "exits", "normal_short").end();
            e.code(1).outcome("degraded").said(&["slow", RAN]).hook_was("slow", "cancelled");
            assert_eq!(e.report["grace_us"], 1_000_000, "{e:#?}");
        }),
        Test::new("manual_mode_never_exits", |k| {
            let e = start_with(k, "exits", &["manual"], &[]).ready().kill(SIGTERM).end();
            e.code(21).said(&[RAN, "code 0"]);
        })
        .everywhere(),
    ]
}

fn repeated() -> Vec<Test> {
    vec![
        Test::new("made_to_leave_is_degraded", |k| {
            let e = start(k, "exits", "never_leaves").ready().kill(SIGTERM).end();
            e.code(1).outcome("degraded").said(&[RAN]);
            assert_eq!(e.report["leave"]["how"], "made_to", "{e:#?}");
        }),
        Test::new("made_to_leave_is_clean_where_a_handler_is_only_assumed", |k| {
            let e = start(k, "exits", "may_handle").ready().kill(SIGTERM).end();
            e.code(0).outcome("clean").said(&[RAN]);
            assert_eq!(e.report["leave"]["how"], "made_to", "{e:#?}");
        }),
        Test::new("a_second_signal_within_500_ms_is_a_duplicate", |k| {
            let mut c = start(k, "exits", "slow_orchestrated"); // would be expedited by INT otherwise
            let e = c.ready().kill(SIGTERM).kill(SIGTERM).end();
            e.code(1).outcome("degraded").said(&["slow", RAN]);
        }),
        Test::new("the_second_signal_cuts_to_the_reserves", |k| {
            let e = start(k, "exits", "slow_default").ready().kill(SIGTERM).line("slow").pause(600).kill(SIGTERM).end();
            e.code(143).outcome("forced").said(&["slow", RAN]).within(300);
        }),
        Test::new("interactive_leaves_at_the_second", |k| {
            let e = start(k, "exits", "slow_interactive").ready().kill(SIGTERM).line("slow").pause(600).kill(SIGTERM).end();
            e.code(143).silent(RAN).within(300);
        }),
        Test::new("orchestrated_ignores_a_repeated_term", |k| {
            let e = start(k, "exits", "slow_orchestrated").ready().kill(SIGTERM).line("slow").pause(600).kill(SIGTERM).end();
            e.code(1).outcome("degraded").said(&[RAN]).hook_was("slow", "cancelled");
        }),
        Test::new("the_third_signal_leaves_at_once", |k| {
            let mut c = start(k, "exits", "third");
            c.ready().kill(SIGTERM).line("slow").pause(600).kill(SIGTERM).line("stuck").pause(600);
            c.kill(SIGTERM).end().code(143).within(300);
        }),
    ]
}
