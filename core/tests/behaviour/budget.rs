//! Spec 4.2, 5.5 to 5.10, 13: time-boxes, workers, starvation.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use graceshut::{AnnounceDelay, HookError};

use crate::harness::*;

crate::suite!("budget",
    tests: [
        r4_2_announce_delay_on_kubernetes,
        r5_5_soft_then_hard_deadline,
        r5_6_blocking_hooks_delay_nobody,
        r5_6_what_no_worker_took_is_not_started,
        r5_6_a_later_phase_has_a_worker_of_its_own,
        r5_6_two_jobs_never_count_on_one_worker,
        r5_6_where_no_thread_can_be_made_later_phases_run,
        r13_out_of_descriptors,
        r13_every_descriptor_closed,
        r5_8_extend_and_what_systemd_hears,
        r5_10_a_stopped_process_is_rebased_once,
        r5_9_the_watchdog_needs_no_engine,
    ],
    children: [announcing, soft_hard, many_blocking, too_many, blocked_early, quick_pair, no_threads, no_descriptors, close_all, extending, stopped, deaf]);

fn announcing() {
    let delay = arg("GS_DELAY").parse().ok().map(|n| AnnounceDelay::Fixed(ms(n)));
    let gs = install(Options { announce_delay: delay, ..grace(3000) }).unwrap();
    gs.set_serving(arg("GS_SERVING") != "no");
    gs.hook("drain", "d")
        .run(|_| {
            say("draining");
            Ok(())
        })
        .unwrap();
    serve(&gs);
}

fn r4_2_announce_delay_on_kubernetes() {
    let kube = |k: Kid| k.env("KUBERNETES_SERVICE_HOST", "10.0.0.1");
    let announced = |k: Kid, signo| {
        let mut kid = k.ready();
        kid.signal(signo);
        kid.end()
    };
    // 5 s, clipped to the phase: a quarter of B = 2.9 s.
    let end = announced(kube(Kid::new("announcing")), libc::SIGTERM).code(0).within(ms(725), ms(725));
    assert_eq!(hook(&end.report(), "announce_delay")["outcome"], "ok");
    announced(kube(Kid::new("announcing")), libc::SIGINT).died_by(libc::SIGINT).within(ms(0), ms(50));
    announced(kube(Kid::new("announcing")).env("GS_SERVING", "no"), libc::SIGTERM).code(0).within(ms(0), ms(50));
    announced(Kid::new("announcing"), libc::SIGTERM).code(0).within(ms(0), ms(50));
    announced(Kid::new("announcing").env("GS_DELAY", "300"), libc::SIGTERM).code(0).within(ms(300), ms(300));
    announced(Kid::new("announcing").env("GS_DELAY", "300"), libc::SIGINT).died_by(libc::SIGINT).within(ms(0), ms(50));
}

fn soft_hard() {
    let gs = install(grace(6000)).unwrap();
    gs.hook("drain", "heeds").timeout(ms(400)).run(|ctx| ctx.sleep(ms(9000))).unwrap();
    gs.hook("drain", "late")
        .timeout(ms(400))
        .run(|ctx| {
            assert!(ctx.wait_cancelled(ms(9000)));
            Ok(())
        })
        .unwrap();
    hanging(&gs, "drain", "unused");
    gs.hook("flush", "sees")
        .run(|ctx| {
            say(&format!("abandoned {:?}", ctx.abandoned()));
            Ok(())
        })
        .unwrap();
    gs.hook("drain", "deaf")
        .timeout(ms(500))
        .run(|_| {
            std::thread::sleep(ms(60_000));
            Ok(())
        })
        .unwrap();
    serve(&gs);
}

fn r5_5_soft_then_hard_deadline() {
    let mut kid = Kid::new("soft_hard").ready();
    kid.term();
    let end = kid.end().code(1).said("abandoned [\"unused\", \"deaf\"]");
    let report = end.report();
    assert_eq!(
        (outcome(&report, "heeds"), outcome(&report, "late"), outcome(&report, "deaf")),
        ("cancelled", "ok", "abandoned")
    );
    assert_eq!(hook(&report, "late")["late"], true);
    let used = hook(&report, "heeds")["used_us"].as_u64().unwrap();
    assert!((320_000..400_000).contains(&used), "soft deadline at 320 ms: {used}");
    let used = hook(&report, "deaf")["used_us"].as_u64().unwrap();
    assert!((500_000..700_000).contains(&used), "{used}");
}

fn many_blocking() {
    let gs = install(grace(5000)).unwrap();
    for _ in 0..60 {
        gs.hook("drain", "blocks")
            .timeout(ms(1500))
            .run(|_| {
                std::thread::sleep(ms(60_000));
                Ok(())
            })
            .unwrap();
    }
    gs.hook("drain", "quick")
        .run(|_| {
            say("quick");
            Ok(())
        })
        .unwrap();
    saying(&gs, "flush", "flushed");
    serve(&gs);
}

fn r5_6_blocking_hooks_delay_nobody() {
    let mut kid = Kid::new("many_blocking").ready();
    kid.term();
    let report = kid.end().code(1).said("quick").said("flushed").report();
    let quick = hook(&report, "quick");
    assert_eq!(quick["outcome"], "ok");
    // One worker more per millisecond, 60 of them, on a busy machine.
    assert!(quick["used_us"].as_u64().unwrap() < 900_000, "{quick}");
}

fn too_many() {
    let gs = install(grace(3000)).unwrap();
    for _ in 0..200 {
        gs.hook("drain", "blocks")
            .run(|_| {
                std::thread::sleep(ms(60_000));
                Ok(())
            })
            .unwrap();
    }
    saying(&gs, "flush", "flushed");
    saying(&gs, "close", "closed");
    saying(&gs, "final", "final");
    serve(&gs);
}

fn r5_6_what_no_worker_took_is_not_started() {
    let mut kid = Kid::new("too_many").ready();
    kid.term();
    let end = kid.end().code(1).said("flushed").said("closed").said("final");
    let report = end.report();
    assert_eq!(report["outcome"], "degraded");
    let blocks: Vec<_> = report["phases"][1]["hooks"].as_array().unwrap().iter().filter(|h| h["name"] == "blocks").collect();
    let count = |word: &str| blocks.iter().filter(|h| h["outcome"] == word).count();
    assert_eq!(blocks.len(), 200);
    // 64 workers and the one kept for drain.
    assert_eq!((count("abandoned"), count("not_started")), (65, 135));
    assert!(blocks.iter().filter(|h| h["outcome"] == "not_started").all(|h| h["why"] == "no_worker"));
    end.within(ms(0), ms(2900));
}

fn blocked_early() {
    let gs = install(Options { max_workers: Some(1), ..grace(3000) }).unwrap();
    for _ in 0..5 {
        hanging(&gs, "announce", "a");
        hanging(&gs, "drain", "d");
    }
    saying(&gs, "flush", "flushed");
    saying(&gs, "close", "closed");
    saying(&gs, "final", "final");
    serve(&gs);
}

fn r5_6_a_later_phase_has_a_worker_of_its_own() {
    let mut kid = Kid::new("blocked_early").ready();
    kid.term();
    let end = kid.end().code(1).said("flushed").said("closed").said("final");
    let report = end.report();
    for (phase, reserve_us) in [(2, 560_000), (3, 280_000), (4, 140_000)] {
        let budget = report["phases"][phase]["budget_us"].as_u64().unwrap();
        assert!(budget + 60_000 >= reserve_us, "{budget} of {reserve_us}");
    }
}

fn quick_pair() {
    let gs = install(Options { max_workers: Some(1), ..grace(3000) }).unwrap();
    // Two workers (the general one and the phase's own), and two callbacks handed over one right after the other; each blocks
    // until both run.
    let met = Arc::new(AtomicU32::new(0));
    gs.hook("flush", "pair")
        .timeout(ms(600))
        .start(move |ctx, completion| {
            let completion = Arc::new(std::sync::Mutex::new(Some(completion)));
            for _ in 0..2 {
                let (met, completion) = (Arc::clone(&met), Arc::clone(&completion));
                ctx.on_cancel(move || {
                    met.fetch_add(1, SeqCst);
                    until("the other callback", || met.load(SeqCst) == 2);
                    if let Some(completion) = completion.lock().unwrap().take() {
                        completion.finish(Ok(()));
                    }
                });
            }
        })
        .unwrap();
    serve(&gs);
}

fn r5_6_two_jobs_never_count_on_one_worker() {
    for _ in 0..3 {
        let mut kid = Kid::new("quick_pair").ready();
        kid.term();
        assert_eq!(outcome(&kid.end().code(0).report(), "pair"), "ok");
    }
}

fn no_threads() {
    let gs = install(grace(3000)).unwrap();
    for _ in 0..10 {
        hanging(&gs, "drain", "d");
    }
    saying(&gs, "flush", "flushed");
    saying(&gs, "final", "final");
    // Root is above RLIMIT_NPROC, nobody is not.
    let folder = std::ffi::CString::new(arg("GS_FOLDER")).unwrap();
    let limit = libc::rlimit { rlim_cur: 1, rlim_max: 1 };
    unsafe {
        libc::chmod(folder.as_ptr(), 0o777);
        assert_eq!(libc::setrlimit(libc::RLIMIT_NPROC, &limit), 0);
        if libc::geteuid() == 0 {
            assert_eq!(libc::setuid(65534), 0);
        }
    }
    assert!(std::thread::Builder::new().spawn(|| ()).is_err(), "a thread could be made all the same");
    serve(&gs);
}

fn r5_6_where_no_thread_can_be_made_later_phases_run() {
    let mut kid = Kid::new("no_threads").ready();
    kid.term();
    let end = kid.end().code(1).said("flushed").said("final");
    let report = end.report();
    let hooks = report["phases"][1]["hooks"].as_array().unwrap();
    assert_eq!(hooks.iter().filter(|h| h["outcome"] == "abandoned").count(), 2);
    assert_eq!(hooks.iter().filter(|h| h["outcome"] == "not_started").count(), 8);
}

fn no_descriptors() {
    let gs = install(grace(1500)).unwrap();
    gs.hook("drain", "cmd").exec(graceshut::ExecSpec { argv: vec!["/bin/true".into()], ..Default::default() }).unwrap();
    hanging(&gs, "drain", "d");
    saying(&gs, "flush", "flushed");
    unsafe { while libc::dup(0) >= 0 {} }
    serve(&gs);
}

fn r13_out_of_descriptors() {
    let few = || {
        let limit = libc::rlimit { rlim_cur: 64, rlim_max: 64 };
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
        Ok(())
    };
    let mut kid = Kid::new("no_descriptors").before(few).ready();
    kid.term();
    kid.end().code(1).said("flushed").within(ms(0), ms(1450));
}

fn close_all() {
    let gs = install(grace(1500)).unwrap();
    gs.hook("drain", "closes")
        .run(|_| {
            (0..1024).for_each(|fd| _ = unsafe { libc::close(fd) });
            Ok(())
        })
        .unwrap();
    let note = std::path::PathBuf::from(arg("GS_FOLDER")).join("flushed");
    gs.hook("flush", "f").run(move |_| Ok(std::fs::write(&note, "x")?)).unwrap();
    serve(&gs);
}

fn r13_every_descriptor_closed() {
    let mut kid = Kid::new("close_all").ready();
    kid.term();
    let end = kid.end().code(0).within(ms(0), ms(100));
    assert!(end.folder.join("flushed").exists());
    assert_eq!(end.report()["outcome"], "clean");
}

fn extending() {
    let gs = install(Options { systemd_extend: Some(arg("GS_EXTEND") == "yes"), ..grace(1000) }).unwrap();
    gs.hook("flush", "f")
        .run(|ctx| {
            let before = ctx.remaining().unwrap();
            let granted = ctx.extend(ms(2000));
            say(&format!("granted {}", granted.as_millis() > 1000));
            assert!(ctx.remaining().unwrap() + ms(20) >= before + granted);
            assert!(ctx.wait_cancelled(ms(60_000)));
            assert_eq!(ctx.extend(ms(10)), ms(0), "after the soft deadline");
            Err(HookError::Cancelled)
        })
        .unwrap();
    gs.hook("final", "t")
        .timeout(ms(10))
        .run(|ctx| {
            let granted = ctx.extend(ms(10));
            assert_eq!(granted, ms(10));
            Ok(())
        })
        .unwrap();
    serve(&gs);
}

fn r5_8_extend_and_what_systemd_hears() {
    for (extend, grows) in [("yes", true), ("no", false)] {
        let path = folder().join("notify");
        let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(ms(200))).unwrap();
        let mut kid = Kid::new("extending").env("GS_EXTEND", extend).env("NOTIFY_SOCKET", path.to_str().unwrap()).ready();
        kid.term();
        let end = kid.end().said(&format!("granted {grows}"));
        let mut buffer = [0; 512];
        let mut heard = Vec::new();
        while let Ok(n) = socket.recv(&mut buffer) {
            heard.push(String::from_utf8_lossy(&buffer[..n]).into_owned());
        }
        assert!(heard.iter().any(|h| h.starts_with("STOPPING=1")), "{heard:?}");
        assert!(heard.iter().any(|h| h == "STATUS=stopping: flush"), "{heard:?}");
        assert_eq!(heard.iter().any(|h| h.starts_with("EXTEND_TIMEOUT_USEC=")), grows, "{heard:?}");
        assert!(heard.iter().any(|h| h.starts_with("STATUS=stopped: ")), "{heard:?}");
        if grows {
            assert!(end.took > ms(1500), "D did not move: {:?}", end.took);
        } else {
            assert!(end.took < ms(1000) + SLACK, "{:?}", end.took);
        }
    }
}

fn stopped() {
    let gs = install(grace(1200)).unwrap();
    gs.hook("drain", "d")
        .run(|ctx| {
            say("draining");
            ctx.sleep(ms(60_000))
        })
        .unwrap();
    saying(&gs, "flush", "flushed");
    saying(&gs, "final", "final");
    serve(&gs);
}

fn r5_10_a_stopped_process_is_rebased_once() {
    let mut kid = Kid::new("stopped").ready();
    kid.term();
    kid.wait_for("draining");
    kid.signal(libc::SIGSTOP);
    std::thread::sleep(ms(3000));
    kid.signal(libc::SIGCONT);
    let end = kid.end().said("flushed").said("final");
    let report = end.report();
    assert_eq!(report["outcome"], "forced");
    assert!(report["rebased_us"].as_u64().unwrap() > 1_000_000, "{report:#}");
    end.code(143).within(ms(0), ms(400));
}

fn deaf() {
    let gs = install(grace(600)).unwrap();
    // The engine's thread itself is stuck: a callback that promised not to block.
    gs.hook("drain", "d")
        .timeout(ms(100))
        .run(|ctx| {
            ctx.on_cancel_inline(|| {
                loop {
                    std::thread::park()
                }
            });
            loop {
                std::thread::park()
            }
        })
        .unwrap();
    serve(&gs);
}

fn r5_9_the_watchdog_needs_no_engine() {
    let mut kid = Kid::new("deaf").ready();
    kid.term();
    kid.end().code(143).within(ms(550), ms(550));
}
