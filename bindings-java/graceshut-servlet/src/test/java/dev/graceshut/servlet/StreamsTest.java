package dev.graceshut.servlet;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** Responses without an end, at TERM: told, ended in order half a second later, and the shutdown is clean. */
class StreamsTest {
    @Test
    void anEventStreamEndsWithItsLastChunk() throws Exception {
        Child child = new Child();
        try (Socket client = child.get("/events")) {
            String began = readUntil(client, "data: one");
            assertTrue(began.startsWith("HTTP/1.1 200"), began);
            child.term();
            String rest = new String(client.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1);
            assertTrue(rest.endsWith("0\r\n\r\n"), rest);
        }
        child.leftClean();
    }

    @Test
    void aLongPollIsToldAndAnswered() throws Exception {
        Child child = new Child();
        try (Socket client = child.get("/poll")) {
            child.until("polled");
            child.term();
            child.until("told");
            String answer = new String(client.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1);
            assertTrue(answer.startsWith("HTTP/1.1 503"), answer);
        }
        child.leftClean();
    }

    private static String readUntil(Socket client, String word) throws IOException {
        StringBuilder read = new StringBuilder();
        while (read.indexOf(word) < 0) {
            int c = client.getInputStream().read();
            assertTrue(c >= 0, read::toString);
            read.append((char) c);
        }
        return read.toString();
    }

    private static final class Child {
        private final int port;
        private final Path report = Files.createTempFile("graceshut-test-", ".json");
        private final Process process;
        private final BufferedReader out;

        Child() throws IOException {
            try (ServerSocket free = new ServerSocket(0)) {
                port = free.getLocalPort();
            }
            ProcessBuilder builder = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xshare:auto",
                    "-XX:TieredStopAtLevel=1", "-cp", System.getProperty("java.class.path"), "dev.graceshut.servlet.JettyChild");
            builder.environment().put("PORT", Integer.toString(port));
            builder.environment().put("GRACESHUT_REPORT", report.toString());
            process = builder.redirectError(ProcessBuilder.Redirect.INHERIT).start();
            out = process.inputReader();
            until("ready");
        }

        void until(String word) throws IOException {
            String line = out.readLine();
            while (line != null && !line.equals(word)) {
                line = out.readLine();
            }
            assertEquals(word, line);
        }

        Socket get(String path) throws IOException {
            Socket client = new Socket("127.0.0.1", port);
            client.setSoTimeout(30_000);
            client.getOutputStream().write(("GET " + path + " HTTP/1.1\r\nHost: t\r\n\r\n").getBytes(StandardCharsets.ISO_8859_1));
            return client;
        }

        void term() {
            process.toHandle().destroy(); // Process.destroy would close its output as well
        }

        void leftClean() throws Exception {
            assertTrue(process.waitFor(60, TimeUnit.SECONDS), "still there");
            assertEquals(0, process.exitValue());
            String text = Files.readString(report).replaceAll("\\s", "");
            assertTrue(text.contains("\"outcome\":\"clean\""), text);
            int at = text.indexOf("\"used_us\":", text.indexOf("\"exit_signal\""));
            long used = Long.parseLong(text.substring(at + 10, text.indexOf(',', at)));
            assertTrue(used < 5_000_000, "a stream of half a second held the shutdown up: " + text);
        }
    }
}
