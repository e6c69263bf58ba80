package dev.graceshut;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

/** A program that handles the signal itself hears of it, and may leave by itself until the deadline (spec 6.6). */
class LeavingTest {
    private static final String RAN = "hook flush/b";

    private static Proc term(String what) throws Exception {
        return Proc.start("leaving", what).ready().kill("TERM");
    }

    @Test
    void ownHandlerBeforeInstall() throws Exception {
        term("handler_before").leaves(0).order(RAN).order("own handler", "own stop done").outcome("clean");
    }

    @Test
    void ownHandlerAfterInstall() throws Exception {
        Proc p = Proc.start("leaving", "handler_after").ready().until("noticed").kill("TERM");
        p.leaves(0).order(RAN).order("own handler", "own stop done").outcome("clean");
    }

    /** The plan is over before its own trigger is heard of as an event. */
    @Test
    void ownHandlerWithoutAnyHook() throws Exception {
        term("no_hooks").leaves(7).order("own handler", "own stop done").outcome("clean");
    }

    /** A process group and its parent send it both: one signal for the program (spec 7.1). */
    @Test
    void aDuplicateDoesNotHurry() throws Exception {
        Proc p = Proc.start("leaving", "no_hooks").ready();
        String kill = "kill -TERM " + p.pid();
        assertEquals(0, new ProcessBuilder("sh", "-c", kill + "; sleep 0.1; " + kill).start().waitFor());
        p.leaves(7).order("own handler", "own stop done").outcome("clean");
    }

    @Test
    void madeToLeaveAtTheDeadline() throws Exception {
        long began = System.nanoTime();
        term("never_leaves").leaves(1).order(RAN).order("own handler").outcome("degraded");
        assertTrue(System.nanoTime() - began > 2_500_000_000L, "left before its deadline");
    }

    @Test
    void aSecondSignalIsTheProgramsAlone() throws Exception {
        Proc p = term("handler_slow").until("hook final/last");
        Thread.sleep(700); // later than a duplicate (spec 7.1)
        p.kill("TERM").leaves(7).order("own stop done").outcome("clean");
    }

    @Test
    void atOnce() throws Exception {
        term("at_once").leaves(0).order(RAN).silent("own stop done");
    }

    @Test
    void withoutAHandlerAtOnce() throws Exception {
        long began = System.nanoTime();
        term("no_handler").leaves(0).order(RAN);
        assertTrue(System.nanoTime() - began < 8_000_000_000L, "waited for a program that does nothing about the signal");
    }

    @Test
    void aHandlerThatExitsWaitsForThePlan() throws Exception {
        term("exits_at_once").leaves(0).order(RAN).order("slow hook done");
    }

    @Test
    void aShutdownHookOfTheProgramIsNotCut() throws Exception {
        term("jvm_hook").leaves(0).order(RAN, "own stop done").outcome("clean");
    }
}
