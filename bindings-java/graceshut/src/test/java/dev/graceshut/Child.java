package dev.graceshut;

import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Proxy;
import java.time.Duration;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;

/** The programs that the tests start: {@code Child SCENARIO}. "ready" is the handshake; each leaves within a minute. */
public final class Child {
    private static volatile double sink;

    private Child() {}

    public static void main(String[] args) throws Exception {
        Thread limit = new Thread(() -> {
            sleepOn(60_000);
            Runtime.getRuntime().halt(99);
        });
        limit.setDaemon(true);
        limit.start();
        String what = args[0];
        switch (what) {
            case "return" -> withHook();
            case "exit" -> {
                withHook();
                System.exit(Integer.parseInt(args[1]));
            }
            case "exit_in_thread" -> {
                withHook();
                Thread t = new Thread(() -> System.exit(9));
                t.setDaemon(true);
                t.start();
                sleepOn(30_000);
            }
            case "return_degraded" -> failing(withHook());
            case "exit_degraded" -> {
                failing(withHook());
                System.exit(Integer.parseInt(args[1]));
            }
            case "uncaught" -> {
                withHook();
                throw new IllegalStateException("on purpose");
            }
            case "halt" -> {
                withHook();
                Runtime.getRuntime().halt(6);
            }
            case "others_go_on" -> {
                Graceshut gs = withHook();
                new Thread(() -> {
                    say("ready");
                    sleepOn(300);
                    say("worker done");
                }).start();
            }
            case "await" -> await(withHook());
            case "await_own" -> {
                Graceshut gs = withHook();
                say("ready");
                say("decided " + gs.await());
                System.exit(7);
            }
            case "await_late" -> {
                Graceshut gs = withHook();
                gs.stop("late");
                while (gs.report().isEmpty()) {
                    sleepOn(1);
                }
                sleepOn(20); // the plan is over, and this thread is still on its way
                gs.await();
                sleepOn(400);
                say("left by itself");
            }
            case "await_degraded" -> await(failing(withHook()));
            case "never_awaits" -> {
                Graceshut gs = withHook();
                Runtime.getRuntime().addShutdownHook(new Thread(() -> say("java hook")));
                say("ready");
                sleepOn(30_000);
            }
            case "two_wait" -> {
                Graceshut gs = withHook();
                Thread t = new Thread(() -> {
                    try {
                        gs.await();
                    } catch (InterruptedException e) {
                        say("FAIL interrupted");
                    }
                    say("second returned");
                });
                t.start();
                await(gs);
                say("first returned");
            }
            case "java_hook_on_exit" -> {
                withHook();
                Runtime.getRuntime().addShutdownHook(new Thread(() -> say("java hook")));
                System.exit(0);
            }
            case "stuck_java_hook" -> {
                Graceshut gs = withHook("{\"grace\": \"1500ms\"}");
                Runtime.getRuntime().addShutdownHook(new Thread(() -> sleepOn(50_000)));
                await(gs);
            }
            case "manual" -> {
                Graceshut gs = withHook("{\"exit\": \"manual\"}");
                say("ready");
                say("decided " + gs.await());
                say("state " + gs.state());
                gs.close();
                gs.close();
                say("state " + gs.state());
                say("again " + (Graceshut.install(Options.builder().exit(Options.Exit.MANUAL).build()).state()));
                System.exit(22);
            }
            case "hooks" -> hooks();
            case "futures" -> futures();
            case "slow" -> {
                Graceshut gs = install("{\"grace\": \"20s\"}");
                gs.hook(Phase.DRAIN, "slow", ctx -> {
                    say("in slow");
                    sleepOn(20_000);
                });
                gs.hook(Phase.CLOSE, "reserved", ctx -> say("hook close/reserved"));
                await(gs);
            }
            case "slow_reserved" -> {
                Graceshut gs = install("{\"grace\": \"20s\"}");
                gs.hook(Phase.DRAIN, "slow", ctx -> {
                    say("in slow");
                    sleepOn(20_000);
                });
                gs.hook(Phase.CLOSE, "reserved", ctx -> {
                    say("in reserved");
                    sleepOn(20_000);
                });
                await(gs);
            }
            case "exit_in_hook" -> {
                Graceshut gs = install("{}");
                gs.hook(Phase.DRAIN, "exits", ctx -> System.exit(Integer.parseInt(args[1])));
                gs.hook(Phase.DRAIN, "exits too", ctx -> {
                    Thread.sleep(100);
                    System.exit(Integer.parseInt(args[1]));
                });
                gs.hook(Phase.CLOSE, "after", ctx -> say("hook close/after"));
                await(gs);
            }
            case "safepoint" -> safepoint(args);
            case "reload" -> {
                Graceshut gs = withHook();
                gs.onReload("conf", () -> {
                    say("reloaded");
                    return null;
                });
                await(gs);
            }
            case "replaced" -> {
                Graceshut gs = withHook();
                gs.onEvent(e -> {
                    if (e.event().equals("handler")) {
                        say("noticed " + e.message().substring(0, 25) + " " + e.outcome());
                    }
                });
                handleByJvm("TERM", () -> say("the JVM's handler"));
                await(gs);
            }
            case "events" -> {
                Graceshut gs = install("{}");
                gs.onEvent(e -> say("event " + e.event() + " " + e.phase() + "/" + e.hook() + " " + e.outcome() + " " + e.message()));
                gs.hook(Phase.FLUSH, "talks", ctx -> {
                    ctx.log("half way");
                    ctx.progress(1, 2);
                    Thread.sleep(50);
                });
                gs.stopping().thenRun(() -> say("stopping"));
                gs.draining().thenRun(() -> say("draining"));
                await(gs);
            }
            case "leaving" -> LeavingCases.run(args[1]);
            case "streams" -> StreamCases.run();
            case "uncounted" -> UncountedCases.run(args[1], args[2], Long.parseLong(args[3]));
            case "in_flight" -> inFlight();
            case "bad_input" -> BadInput.run();
            case "wasm" -> WasmCases.run(java.nio.file.Path.of(args[1]));
            default -> throw new IllegalArgumentException(what);
        }
    }

    static void say(String line) {
        synchronized (System.out) {
            System.out.println(line);
            System.out.flush();
        }
    }

    /** On through every interrupt. */
    static void sleepOn(long ms) {
        long until = System.nanoTime() + ms * 1_000_000;
        while (System.nanoTime() < until) {
            try {
                Thread.sleep(Math.max(1, (until - System.nanoTime()) / 1_000_000));
            } catch (InterruptedException e) {
                // that is the point
            }
        }
    }

    private static Graceshut install(String json) {
        return Graceshut.install(Options.builder().grace(Duration.ofSeconds(5)).json(json).build());
    }

    static Graceshut withHook() {
        return withHook("{}");
    }

    static Graceshut withHook(String json) {
        Graceshut gs = install(json);
        gs.hook(Phase.FLUSH, "b", ctx -> say("hook flush/b"));
        gs.hook(Phase.FINAL, "last", ctx -> say("hook final/last"));
        return gs;
    }

    private static Graceshut failing(Graceshut gs) {
        gs.hook(Phase.CLOSE, "bad", ctx -> {
            throw new java.io.IOException("disk on fire");
        });
        return gs;
    }

    private static void await(Graceshut gs) throws InterruptedException {
        say("ready");
        gs.await();
    }

    private static void hooks() throws InterruptedException {
        Graceshut gs = install("{}");
        HookOptions short_ = HookOptions.timeout(Duration.ofMillis(400));
        gs.hook(Phase.ANNOUNCE, "a", ctx -> {
            say("context " + ctx.phase() + "/" + ctx.name() + " " + ctx.reason() + " " + ctx.reason().kind() + " "
                    + (ctx.remaining().get().toMillis() > 500) + " " + ctx.isCancelled() + " " + ctx.abandoned());
            say("deadline " + (ctx.deadline().get() - System.nanoTime() > 500_000_000L));
            gs.hook(Phase.FLUSH, "registered later", c -> say("hook flush/registered later"));
            try {
                gs.await();
            } catch (GraceshutException e) {
                say("await " + e.kind().word());
            }
        });
        gs.hook(Phase.DRAIN, "interrupted", ctx -> {
            ctx.onCancel(() -> say("onCancel heard"));
            Thread.sleep(30_000);
        }, short_);
        gs.hook(Phase.DRAIN, "late", ctx -> {
            sleepOn(360);
            say("late saw " + ctx.isCancelled());
        }, short_);
        gs.hook(Phase.DRAIN, "stuck", ctx -> sleepOn(30_000), short_);
        gs.hook(Phase.DRAIN, "extends", ctx -> say("granted " + ctx.extend(Duration.ofMillis(200)).toMillis()), short_);
        gs.hook(Phase.FLUSH, "sees", ctx -> say("abandoned " + ctx.abandoned()));
        gs.hook(Phase.FLUSH, "interrupt is gone", ctx -> say("interrupted " + Thread.currentThread().isInterrupted()));
        gs.hook(Phase.FLUSH, "bad", ctx -> {
            throw new IllegalStateException("disk on fire");
        }, HookOptions.none().optional());
        gs.hook(Phase.CLOSE, "c1", ctx -> say("hook close/c1"));
        gs.hook(Phase.CLOSE, "c2", ctx -> say("hook close/c2"));
        say("removed " + gs.hook(Phase.CLOSE, "never", ctx -> say("FAIL removed hook ran")).remove());
        gs.declare("{\"phase\": \"final\", \"name\": \"pause\", \"delay\": \"10ms\"}");
        HookContext[] kept = new HookContext[1];
        gs.hook(Phase.FLUSH, "kept", ctx -> kept[0] = ctx);
        gs.hook(Phase.FINAL, "looks at it", ctx -> say("kept " + kept[0].remaining().get() + " " + kept[0].extend(Duration.ofSeconds(1))
                + " " + kept[0].reason().kind().isEmpty()));
        await(gs);
    }

    private static void futures() throws InterruptedException {
        Graceshut gs = install("{}");
        HookOptions short_ = HookOptions.timeout(Duration.ofMillis(400));
        gs.hookAsync(Phase.DRAIN, "ok", ctx -> CompletableFuture.runAsync(() -> sleepOn(20)));
        gs.hookAsync(Phase.DRAIN, "fails", ctx -> CompletableFuture.runAsync(() -> {
            throw new IllegalStateException("broker gone");
        }));
        gs.hookAsync(Phase.DRAIN, "cancelled", ctx -> new CompletableFuture<Void>(), short_);
        gs.hookAsync(Phase.DRAIN, "gives up", ctx -> CompletableFuture.failedFuture(new CancellationException()));
        gs.hookAsync(Phase.DRAIN, "never", ctx -> new CompletableFuture<Void>() {
            @Override
            public boolean cancel(boolean may) {
                say("cancel came");
                return false;
            }
        }, short_);
        gs.hookAsync(Phase.DRAIN, "null", ctx -> null);
        gs.hookAsync(Phase.DRAIN, "throws", ctx -> {
            throw new java.io.IOException("cannot begin");
        });
        await(gs);
    }

    /** The whole JVM waits for a loop without a safepoint poll, while a native hook and the watchdog act. */
    private static void safepoint(String[] args) throws InterruptedException {
        Graceshut gs = install("{\"grace\": \"1500ms\", \"phases\": {\"announce\": {\"cap\": \"300ms\"}}}");
        gs.declare("{\"phase\": \"flush\", \"name\": \"native\", \"exec\": [\"touch\", \"" + args[1] + "\"]}");
        gs.hook(Phase.CLOSE, "java", ctx -> say("hook close/java"));
        CountDownLatch in = new CountDownLatch(1);
        Thread spinner = new Thread(() -> {
            for (int i = 0; i < 20_000; i++) {
                sink += spin(2000); // compiled by the second compiler, which leaves the poll out
            }
            in.countDown();
            for (int i = 0; i < 1000; i++) {
                sink += spin(Integer.MAX_VALUE);
            }
        });
        spinner.setDaemon(true);
        spinner.start();
        in.await();
        Thread gc = new Thread(() -> {
            say("ready");
            System.gc();
        });
        gc.setDaemon(true);
        gc.start();
        gs.await();
    }

    private static double spin(int n) {
        double x = sink;
        for (int i = 0; i < n; i++) {
            x = x * 1.0000001 + i;
        }
        return x;
    }

    /** sun.misc.Signal, which javac warns of. */
    static void handleByJvm(String name, Runnable f) throws ReflectiveOperationException {
        Class<?> signal = Class.forName("sun.misc.Signal");
        Class<?> handler = Class.forName("sun.misc.SignalHandler");
        InvocationHandler call = (proxy, method, a) -> {
            f.run();
            return null;
        };
        Object proxy = Proxy.newProxyInstance(Child.class.getClassLoader(), new Class<?>[] {handler}, call);
        signal.getMethod("handle", signal, handler).invoke(null, signal.getConstructor(String.class).newInstance(name), proxy);
    }

    private static void inFlight() throws Exception {
        Graceshut gs = install("{}");
        InFlight work = gs.inFlight();
        Thread[] threads = new Thread[4];
        for (int i = 0; i < threads.length; i++) {
            threads[i] = new Thread(() -> {
                for (int k = 0; k < 50_000; k++) {
                    if (!work.tryEnter()) {
                        say("FAIL refused");
                    }
                    work.leave();
                }
            });
            threads[i].start();
        }
        for (Thread t : threads) {
            t.join();
        }
        say("count " + work.count());
        Guard unit = gs.track();
        Guard part = unit.enter();
        Guard other = gs.inFlight("jobs").track();
        say("count " + work.count() + " " + gs.inFlight("jobs").count() + " " + (gs.inFlight("jobs") == gs.inFlight("jobs")));
        gs.hook(Phase.ANNOUNCE, "looks", ctx -> {
            say("announced " + gs.isStopping() + " " + gs.isDraining());
            try (Guard still = gs.enter()) {
                say("served " + (still != null));
            }
        });
        gs.draining().thenRun(() -> {
            say("refused " + (gs.enter() == null) + " " + gs.tryEnter());
            try {
                gs.track();
            } catch (DrainingException e) {
                say("refused by exception");
            }
            unit.close();
            unit.close();
            other.close();
            try {
                unit.enter();
            } catch (GraceshutException e) {
                say("closed unit " + e.kind().word());
            }
            sleepOn(200);
            say("part leaves");
            part.close();
        });
        gs.hook(Phase.FLUSH, "after drain", ctx -> say("flushed at " + work.count()));
        await(gs);
    }
}
