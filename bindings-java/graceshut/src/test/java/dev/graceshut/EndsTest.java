package dev.graceshut;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** How a Java program ends (spec 2.6, embedding E) and with what status (spec 6.4). */
class EndsTest {
    private static final String RAN = "hook flush/b";
    private static final String CONCURRENT = "the JVM began the exit: its other shutdown hooks ran beside the phases";

    private static Object warnings(Proc p) throws Exception {
        return p.report().get("warnings");
    }

    @Test
    void returnFromMain() throws Exception {
        Proc p = Proc.start("return").leaves(0).order(RAN, "hook final/last").outcome("clean");
        assertEquals("host_end null", p.reason());
        assertEquals(List.of(CONCURRENT), warnings(p));
    }

    @Test
    void returnFromMainDegraded() throws Exception {
        Proc.start("return_degraded").leaves(1).order(RAN).outcome("degraded").hookWas("bad", "failed");
    }

    @Test
    void mainReturnsAndOtherThreadsGoOn() throws Exception {
        Proc.start("others_go_on").leaves(0).order("worker done", RAN).outcome("clean");
    }

    @Test
    void systemExit() throws Exception {
        Proc p = Proc.start("exit", "5").leaves(5).order(RAN).outcome("clean");
        assertEquals("host_end null", p.reason());
        Proc.start("exit", "0").leaves(0).order(RAN);
    }

    @Test
    void systemExitDegraded() throws Exception {
        Proc.start("exit_degraded", "0").leaves(1).outcome("degraded");
        Proc.start("exit_degraded", "4").leaves(4).outcome("degraded");
    }

    @Test
    void systemExitInAThread() throws Exception {
        Proc.start("exit_in_thread").leaves(9).order(RAN).outcome("clean");
    }

    @Test
    void uncaughtInMain() throws Exception {
        Proc p = Proc.start("uncaught").leaves(1).order(RAN);
        assertEquals("uncaught java.lang.IllegalStateException: on purpose", p.reason());
        assertTrue(p.stderr().contains("Exception in thread \"main\""), p::stderr);
    }

    @Test
    void haltAsksNobody() throws Exception {
        Proc p = Proc.start("halt").leaves(6).silent(RAN);
        assertFalse(p.reported());
    }

    @Test
    void termIsClean() throws Exception {
        Proc p = Proc.start("await").ready().kill("TERM").leaves(0).order(RAN, "hook final/last").outcome("clean");
        assertEquals(List.of(), warnings(p));
        assertEquals("java", ((Map<?, ?>) p.report().get("host")).get("language"));
    }

    @Test
    void intDiesByIntAsTheLastAct() throws Exception {
        // Perl tells a death by signal from an exit with 130; Java does not.
        List<String> command = new java.util.ArrayList<>(List.of("env", "--default-signal=INT", "perl", "-e",
                "system { $ARGV[0] } @ARGV; printf \"signal %d\\n\", $? & 127;"));
        command.addAll(List.of(Proc.home().resolve("bin/java").toString(), "-XX:TieredStopAtLevel=1", "-cp",
                System.getProperty("java.class.path"), "dev.graceshut.Child", "never_awaits"));
        Proc p = Proc.start(command, Map.of()).ready();
        ProcessHandle java = ProcessHandle.of(p.pid()).orElseThrow().children().findFirst().orElseThrow();
        new ProcessBuilder("kill", "-INT", Long.toString(java.pid())).start().waitFor();
        p.leaves(0).order(RAN, "hook final/last", "java hook", "signal 2").outcome("clean");
    }

    @Test
    void hupIsClean() throws Exception {
        Proc.start("await").ready().kill("HUP").leaves(0).order(RAN).outcome("clean");
    }

    @Test
    void degradedIsOne() throws Exception {
        Proc p = Proc.start("await_degraded").ready().kill("TERM").leaves(1).outcome("degraded");
        assertEquals("java.io.IOException: disk on fire", p.hook("bad").get("message"));
    }

    @Test
    void aStatusOfItsOwnAfterwardsIsKept() throws Exception {
        Proc.start("await_own").ready().kill("TERM").leaves(7).order("decided 0");
    }

    @Test
    void awaitCalledJustAfterThePlanIsOver() throws Exception {
        Proc.start("await_late").leaves(0).order(RAN, "left by itself").outcome("clean");
    }

    @Test
    void javaShutdownHooksRunAfterFinal() throws Exception {
        Proc p = Proc.start("never_awaits").ready().kill("TERM").leaves(0).order("hook final/last", "java hook");
        assertEquals(List.of(), warnings(p));
    }

    @Test
    void theReportSaysWhenTheyRanBesideThePhases() throws Exception {
        Proc p = Proc.start("java_hook_on_exit").leaves(0).order("java hook").order(RAN);
        assertEquals(List.of(CONCURRENT), warnings(p));
    }

    @Test
    void severalWait() throws Exception {
        Proc.start("two_wait").ready().kill("TERM").leaves(0).order(RAN, "first returned").order("second returned");
    }

    @Test
    void aStuckShutdownHookDelaysNothingButItself() throws Exception {
        Proc p = Proc.start("stuck_java_hook").ready();
        long began = System.nanoTime();
        p.kill("TERM").leaves(0).order("hook final/last").outcome("clean");
        long ms = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - began);
        // D + margin/2 is 1.45 s of a grace of 1.5 s.
        assertTrue(ms >= 1300 && ms < 3500, () -> ms + " ms");
    }

    @Test
    void manualNeverLeaves() throws Exception {
        Proc.start("manual").ready().kill("TERM").leaves(22)
                .order(RAN, "decided 0", "state STOPPED", "state IDLE", "again ARMED");
    }

    @Test
    void aSafepointStallDelaysNeitherNativeHooksNorTheWatchdog() throws Exception {
        Path touched = Files.createTempDirectory("graceshut-test-").resolve("touched");
        List<String> flags = List.of("-XX:-TieredCompilation", "-Xbatch", "-XX:+UnlockDiagnosticVMOptions", "-XX:-UseCountedLoopSafepoints",
                "-XX:LoopStripMiningIter=0", "-XX:+UseSerialGC");
        Proc p = Proc.start(Proc.home(), flags, Map.of(), "safepoint", touched.toString()).ready();
        Thread.sleep(300); // not a handshake: the collection, which cannot tell that it waits, is under way
        long began = System.nanoTime();
        p.kill("TERM");
        while (!Files.exists(touched) && p.lives()) {
            Thread.sleep(5);
        }
        long touchedMs = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - began);
        p.leaves(143).outcome("forced").silent("hook close/java");
        long goneMs = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - began);
        assertTrue(Files.exists(touched) && touchedMs < 1000, () -> "native hook after " + touchedMs + " ms");
        assertTrue(goneMs < 3500, () -> "gone after " + goneMs + " ms");
        p.hookWas("native", "ok").hookWas("java", "not_started");
    }

    @Test
    void withReducedSignals() throws Exception {
        Proc.start(Proc.home(), List.of("-Xrs"), Map.of(), "await").ready().kill("TERM").leaves(0).order(RAN).outcome("clean");
    }

    @Test
    void theThreadDumpStays() throws Exception {
        Proc p = Proc.start("await").ready().kill("QUIT");
        while (!p.said.get(p.said.size() - 1).startsWith("Full thread dump")) {
            p.next();
        }
        p.kill("TERM").leaves(0).order(RAN);
    }

    @Test
    void libjsigStays() throws Exception {
        Path libjsig = Proc.home().resolve("lib/libjsig.so");
        assertTrue(Files.exists(libjsig), "this JDK has no libjsig.so");
        Proc.start(Proc.home(), List.of(), Map.of("LD_PRELOAD", libjsig.toString()), "await")
                .ready().kill("TERM").leaves(0).order(RAN).outcome("clean");
    }

    @Test
    void onAnotherJdk() throws Exception {
        Path jdk = Proc.otherJdk().orElse(null);
        assumeTrue(jdk != null, "skipped: there is no JDK newer than 20 beside this one");
        Proc.start(jdk, List.of(), Map.of(), "await").ready().kill("TERM").leaves(0).order(RAN).outcome("clean");
        Proc.start(jdk, List.of(), Map.of(), "exit", "5").leaves(5).order(RAN);
        Proc.start(jdk, List.of(), Map.of(), "return").leaves(0).order(RAN);
        Proc.start(jdk, List.of(), Map.of(), "uncaught").leaves(1).order(RAN);
        Proc.start(jdk, List.of(), Map.of(), "halt").leaves(6).silent(RAN);
        Proc.start(jdk, List.of(), Map.of(), "stuck_java_hook").ready().kill("TERM").leaves(0);
        // From Java 21 on other shutdown hooks run after the phases: what they close, logs and pools, is still open.
        Proc exited = Proc.start(jdk, List.of(), Map.of(), "java_hook_on_exit").leaves(0).order(RAN, "hook final/last", "java hook");
        assertEquals(List.of(), warnings(exited));
        // From Java 21 on the status of an exit call inside a hook can be seen.
        Proc p = Proc.start(jdk, List.of(), Map.of(), "exit_in_hook", "3").ready().kill("TERM").leaves(3).order("hook close/after");
        p.outcome("degraded").hookWas("exits", "failed");
        // A second call's only until the shutdown hook of java.util.logging, which the first call started, takes our handler away.
        if (!"failed".equals(p.hook("exits too").get("outcome"))) {
            p.hookWas("exits too", "ok");
            assertTrue(warnings(p).toString().contains("its status cannot be seen on this Java"), () -> p.said.toString());
        }
        Proc.start(jdk, List.of(), Map.of(), "exit_in_hook", "0").ready().kill("TERM").leaves(0).outcome("clean");
        Proc.start(jdk, List.of(), Map.of(), "bad_input").until("passed").leaves(0);
    }

    @Test
    void exitInAHookIsContained() throws Exception {
        Proc p = Proc.start("exit_in_hook", "3").ready().kill("TERM").leaves(3).order("hook close/after");
        p.hookWas("after", "ok");
        if (Runtime.version().feature() < 21) {
            p.hookWas("exits", "ok");
            assertTrue(warnings(p).toString().contains("its status cannot be seen on this Java"), () -> p.said.toString());
        }
        Proc.start("exit_in_hook", "0").ready().kill("TERM").leaves(0).order("hook close/after").outcome("clean");
    }
}
