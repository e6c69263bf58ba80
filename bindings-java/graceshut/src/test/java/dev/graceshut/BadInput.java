package dev.graceshut;

import java.time.Duration;
import java.util.function.Supplier;

/** Whatever is wrong is a typed error that names it, and the JVM lives. */
final class BadInput {
    private BadInput() {}

    static void run() throws Exception {
        fails(ErrorKind.NULL, "options", () -> Graceshut.install(null));
        fails(ErrorKind.BAD_CONFIG, "gracee", () -> Graceshut.install(Options.builder().json("{\"gracee\": \"5s\"}").build()));
        fails(ErrorKind.BAD_CONFIG, "not JSON", () -> Graceshut.install(Options.builder().json("{").build()));
        fails(ErrorKind.BAD_TIME, "", () -> Graceshut.install(Options.builder().grace(Duration.ofMillis(100)).build()));
        fails(ErrorKind.BAD_TIME, "grace", () -> Graceshut.install(Options.builder().grace(Duration.ofSeconds(Long.MAX_VALUE)).build()));
        fails(ErrorKind.PLAN_DOES_NOT_FIT, "", () -> Graceshut.install(Options.builder()
                .grace(Duration.ofSeconds(1)).json("{\"phases\": {\"flush\": {\"reserve\": \"5s\"}}}").build()));
        Graceshut gs = Graceshut.install(Options.builder().grace(Duration.ofSeconds(5)).exit(Options.Exit.MANUAL).report("none").build());
        same(gs, Graceshut.install(Options.builder().grace(Duration.ofSeconds(5)).exit(Options.Exit.MANUAL).report("none").build()));
        same(gs, Graceshut.current().orElseThrow());
        fails(ErrorKind.DISAGREE, "grace", () -> Graceshut.install(Options.builder().grace(Duration.ofSeconds(6)).build()));
        Hook nothing = ctx -> {};
        fails(ErrorKind.NULL, "phase", () -> gs.hook(null, "x", nothing));
        fails(ErrorKind.NULL, "name", () -> gs.hook(Phase.FLUSH, null, nothing));
        fails(ErrorKind.NULL, "hook", () -> gs.hook(Phase.FLUSH, "x", null));
        fails(ErrorKind.UNKNOWN_PHASE, "flush", () -> gs.hook("flsh", "x", nothing));
        fails(ErrorKind.BAD_VALUE, "", () -> gs.hook(Phase.FLUSH, "", nothing));
        fails(ErrorKind.BAD_VALUE, "NUL", () -> gs.hook(Phase.FLUSH, "a\0b", nothing));
        fails(ErrorKind.BAD_TIME, "timeout", () -> gs.hook(Phase.FLUSH, "x", nothing, HookOptions.timeout(Duration.ZERO)));
        fails(ErrorKind.BAD_TIME, "timeout", () -> gs.hook(Phase.FLUSH, "x", nothing, HookOptions.timeout(Duration.ofDays(-1))));
        fails(ErrorKind.BAD_TIME, "", () -> gs.hook(Phase.FLUSH, "x", nothing, HookOptions.timeout(Duration.ofDays(9999))));
        fails(ErrorKind.CYCLE, "self", () -> gs.hook(Phase.FLUSH, "self", nothing, HookOptions.none().after("self")));
        fails(ErrorKind.BAD_CONFIG, "", () -> gs.declare("{\"phase\": \"flush\"}"));
        fails(ErrorKind.BAD_TIME, "grace", () -> {
            gs.stop("x", Duration.ofMillis(-1));
            return null;
        });
        fails(ErrorKind.BAD_TIME, "", () -> {
            gs.stop("x", Duration.ofMillis(1));
            return null;
        });
        fails(ErrorKind.TIMEOUT, "", () -> {
            try {
                return gs.await(Duration.ofMillis(1));
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        });
        check(gs.plan().contains("drain"), "plan");
        check(gs.config().contains("\"grace\""), "config");
        check(gs.status().contains("armed"), gs.status());
        check(gs.phase().isEmpty() && gs.report().isEmpty(), "phase and report");
        HookHandle handle = gs.hook(Phase.FLUSH, "änderung ☂", nothing);
        check(handle.remove() == HookHandle.Removal.REMOVED && handle.remove() == HookHandle.Removal.DONE, "remove");
        gs.close();
        gs.close();
        check(gs.state() == Graceshut.State.IDLE && Graceshut.current().isEmpty(), "closed");
        fails(ErrorKind.CLOSED, "install", () -> gs.hook(Phase.FLUSH, "x", nothing));
        fails(ErrorKind.CLOSED, "install", handle::remove);
        fails(ErrorKind.CLOSED, "", () -> {
            gs.uninstall();
            return null;
        });
        try {
            gs.await();
            throw new IllegalStateException("await on a closed one");
        } catch (GraceshutException e) {
            check(e.kind() == ErrorKind.CLOSED, e.toString());
        }
        Child.say("passed");
    }

    static void check(boolean ok, String what) {
        if (!ok) {
            throw new IllegalStateException(what);
        }
    }

    private static void same(Object a, Object b) {
        check(a == b, "two runtimes");
    }

    static void fails(ErrorKind kind, String words, Supplier<?> call) {
        try {
            call.get();
        } catch (GraceshutException e) {
            check(e.kind() == kind && e.getMessage().contains(words), "wanted " + kind + " " + words + ", got " + e.kind() + ": " + e.getMessage());
            return;
        }
        throw new IllegalStateException("no error, wanted " + kind + " " + words);
    }
}
