package dev.graceshut;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** Hooks, repeated signals, work in flight, events, bad input. */
class HooksTest {
    @Test
    void hooks() throws Exception {
        Proc p = Proc.start("hooks").ready().kill("TERM").leaves(1).outcome("degraded");
        p.order("removed REMOVED", "ready", "context announce/a SIGTERM signal true false []", "deadline true", "await wrong_thread");
        p.order("onCancel heard", "abandoned [stuck]");
        p.order("late saw true");
        p.order("granted 200");
        p.order("hook flush/registered later", "hook close/c2", "hook close/c1", "kept PT0S PT0S true");
        p.order("interrupted false");
        p.hookWas("interrupted", "cancelled").hookWas("stuck", "abandoned").hookWas("late", "ok").hookWas("bad", "failed");
        p.hookWas("pause", "ok");
        assertEquals(true, p.hook("late").get("late"));
        assertEquals("java.lang.IllegalStateException: disk on fire", p.hook("bad").get("message"));
    }

    @Test
    void futures() throws Exception {
        Proc p = Proc.start("futures").ready().kill("TERM").leaves(1).order("cancel came");
        p.hookWas("ok", "ok").hookWas("fails", "failed").hookWas("cancelled", "cancelled").hookWas("gives up", "cancelled");
        p.hookWas("never", "abandoned").hookWas("null", "failed").hookWas("throws", "failed");
        assertEquals("java.lang.IllegalStateException: broker gone", p.hook("fails").get("message"));
    }

    @Test
    void secondSignal() throws Exception {
        Proc p = Proc.start("slow").ready().kill("TERM").until("in slow");
        Thread.sleep(600); // past the time in which a repeat is a duplicate (7.1)
        long began = System.nanoTime();
        p.kill("TERM").leaves(143).order("hook close/reserved").outcome("forced");
        assertTrue(System.nanoTime() - began < TimeUnit.SECONDS.toNanos(8));
    }

    @Test
    void thirdSignalLeavesAtOnce() throws Exception {
        Proc p = Proc.start("slow_reserved").ready().kill("TERM").until("in slow");
        Thread.sleep(600);
        p.kill("TERM").until("in reserved");
        Thread.sleep(600);
        p.kill("TERM").leaves(143);
    }

    @Test
    void reload() throws Exception {
        Proc.start("reload").ready().kill("HUP").until("reloaded").kill("TERM").leaves(0);
    }

    @Test
    void aHandlerOfTheJvmIsNoticedAndBothAct() throws Exception {
        Proc p = Proc.start("replaced").ready().until("noticed the handler of TERM was r repaired");
        p.kill("TERM").leaves(0).order("hook flush/b").order("the JVM's handler").outcome("clean");
    }

    @Test
    void events() throws Exception {
        Proc p = Proc.start("events").ready().kill("TERM").leaves(0);
        p.order("event trigger / started TERM", "event phase_start drain/  ", "event hook_start flush/talks  ",
                "event log flush/talks  half way", "event progress flush/talks  ", "event hook_end flush/talks ok ",
                "event finished / clean ");
        p.order("stopping", "draining");
    }

    @Test
    void inFlight() throws Exception {
        Proc p = Proc.start("in_flight").ready().kill("TERM").leaves(0);
        p.order("count 0", "count 2 1 true", "announced true false", "served true", "refused true false", "refused by exception",
                "closed unit too_late", "part leaves", "flushed at 0");
    }

    @Test
    void wasm() throws Exception {
        String file = System.getProperty("graceshut.root", "../..") + "/examples/hooks/deregister.wasm";
        Proc.start(Proc.home(), java.util.List.of(), java.util.Map.of("GRACESHUT_WASM_CACHE", "off"), "wasm", file).until("passed").leaves(0);
    }

    @Test
    void badInput() throws Exception {
        Proc.start("bad_input").until("passed").leaves(0);
    }
}
