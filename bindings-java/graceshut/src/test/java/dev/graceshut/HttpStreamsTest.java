package dev.graceshut;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

/** Responses without an end in the JDK's server, at TERM: told, ended in order half a second later, clean (spec 9.6). */
class HttpStreamsTest {
    @Test
    void anEventStreamEndsWithItsLastChunk() throws Exception {
        Proc p = Proc.start("streams").ready();
        String rest = afterTerm(p, "/events", "data: one");
        assertTrue(rest.endsWith("0\r\n\r\n"), rest);
        p.leaves(0).order("ended").outcome("clean");
    }

    @Test
    void aLongPollIsToldAndAnswered() throws Exception {
        Proc p = Proc.start("streams").ready();
        String answer = afterTerm(p, "/poll", "");
        assertTrue(answer.startsWith("HTTP/1.1 503"), answer);
        p.leaves(0).order("polled", "told").outcome("clean");
    }

    private static String afterTerm(Proc p, String path, String until) throws Exception {
        p.next();
        int port = Integer.parseInt(p.said.get(p.said.size() - 1));
        try (Socket client = new Socket("127.0.0.1", port)) {
            client.setSoTimeout(30_000);
            client.getOutputStream().write(("GET " + path + " HTTP/1.1\r\nHost: t\r\n\r\n").getBytes(StandardCharsets.ISO_8859_1));
            if (until.isEmpty()) {
                p.until("polled");
            } else {
                read(client, until);
            }
            p.kill("TERM");
            return new String(client.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1);
        }
    }

    private static void read(Socket client, String until) throws IOException {
        StringBuilder read = new StringBuilder();
        while (read.indexOf(until) < 0) {
            int c = client.getInputStream().read();
            assertTrue(c >= 0, read::toString);
            read.append((char) c);
        }
    }
}
