package dev.graceshut;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.Socket;
import java.net.SocketException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.api.Test;

/** Contexts that were made on the adopted server itself: their exchanges cannot be counted, and are not cut for that. */
class UncountedTest {
    /** stop(delay) differs between them: on Java 17 an idle server sleeps the whole delay. */
    static Stream<Path> jdks() throws IOException {
        return Stream.concat(Stream.of(Proc.home()), Proc.otherJdk().stream());
    }

    private static Proc start(Path jdk, String what, String grace, int slowMs) throws Exception {
        return Proc.start(jdk, List.of(), Map.of(), "uncounted", what, grace, Integer.toString(slowMs)).ready();
    }

    @ParameterizedTest
    @MethodSource("jdks")
    void anExchangeInProgressIsAnswered(Path jdk) throws Exception {
        for (String what : List.of("after", "after, own stop", "before", "after, mixed", "after, awaits")) {
            Proc p = start(jdk, what, "10s", 1500);
            assertTrue(slow(p).startsWith("HTTP/1.1 200"), what);
            p.leaves(0).outcome("clean");
            assertTrue(p.report().get("warnings").toString().contains("not counted"), () -> what + p.said);
        }
    }

    /** The server's own stop sleeps its whole delay there, on Java 17. */
    @ParameterizedTest
    @MethodSource("jdks")
    void anIdleServerIsNotWaitedFor(Path jdk) throws Exception {
        for (String what : List.of("after", "after, never starts", "after, awaits")) {
            Proc p = start(jdk, what, "30s", 0);
            p.next();
            long began = System.nanoTime();
            p.kill("TERM").leaves(0).outcome("clean");
            assertTrue(System.nanoTime() - began < 9_000_000_000L, () -> what + " left after " + (System.nanoTime() - began) / 1e9);
        }
    }

    @ParameterizedTest
    @MethodSource("jdks")
    void whatIsCutIsNotClean(Path jdk) throws Exception {
        Proc p = start(jdk, "after", "3s", 40_000);
        assertFalse(slow(p).startsWith("HTTP/1.1 200"));
        p.leaves(1).outcome("degraded");
    }

    @Test
    void anExistingContextCanBeCounted() throws Exception {
        Proc p = start(Proc.home(), "after, count", "10s", 1500);
        assertTrue(slow(p).startsWith("HTTP/1.1 200"));
        p.leaves(0).outcome("clean");
        assertEquals("[]", p.report().get("warnings").toString());
        assertTrue(p.report().get("in_flight").toString().contains("at_drain_start=1"), p.report()::toString);
    }

    /** The answer to a request that was in progress at TERM; empty where it was cut. */
    private static String slow(Proc p) throws Exception {
        p.next();
        int port = Integer.parseInt(p.said.get(p.said.size() - 1));
        try (Socket client = new Socket("127.0.0.1", port)) {
            client.setSoTimeout(60_000);
            client.getOutputStream().write("GET /slow HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n".getBytes(StandardCharsets.ISO_8859_1));
            p.until("in slow").kill("TERM");
            return new String(client.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1);
        } catch (SocketException e) {
            return "";
        }
    }
}
