package dev.graceshut.spring;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** A real Spring Boot application on Tomcat. */
class AppTest {
    private static final List<String> JAVA = List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xshare:auto",
            "-XX:TieredStopAtLevel=1", "-cp", System.getProperty("java.class.path"), "dev.graceshut.spring.App");

    private static int freePort() throws IOException {
        try (ServerSocket free = new ServerSocket(0)) {
            return free.getLocalPort();
        }
    }

    private static String run(int port, int status, String exitAfter, Path report, List<String> command) throws Exception {
        Path out = Files.createTempFile("graceshut-test-", ".out");
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(out.toFile());
        builder.environment().put("PORT", Integer.toString(port));
        if (exitAfter != null) {
            builder.environment().put("EXIT_AFTER_MS", exitAfter);
            builder.environment().put("GRACESHUT_REPORT", report.toString());
        }
        Process process = builder.start();
        assertTrue(process.waitFor(150, TimeUnit.SECONDS), "it hangs");
        String said = Files.readString(out);
        assertEquals(status, process.exitValue(), said);
        return said;
    }

    @Test
    void nothingIsLost() throws Exception {
        Path verify = Path.of(System.getProperty("graceshut.root", "../.."), "target", "release", "graceshut");
        assertTrue(Files.isExecutable(verify), verify + " is not built: make cli");
        int port = freePort();
        Path json = Files.createTempFile("graceshut-test-", ".json");
        List<String> command = new ArrayList<>(List.of(verify.toAbsolutePath().toString(), "verify", "--connections", "8", "--after", "2s",
                "--grace", "10s", "--ready-timeout", "90s", "--ready", "http://127.0.0.1:" + port + "/actuator/health/readiness", "--load",
                "http://127.0.0.1:" + port + "/work", "--json", json.toString(), "--"));
        command.addAll(JAVA);
        String said = run(port, 0, null, null, command);
        String verdict = Files.readString(json).replaceAll("\\s", "");
        assertTrue(verdict.contains("\"lost\":0") && verdict.contains("\"outcome\":\"clean\""), verdict);
        assertTrue(said.contains("context closed"), said);
        assertTrue(verdict.contains("\"readiness_red\":") && !verdict.contains("\"readiness_red\":null"), verdict);
    }

    @Test
    void systemExitElsewhereJoinsThePlan() throws Exception {
        Path report = Files.createTempFile("graceshut-test-", ".json");
        String said = run(freePort(), 5, "200", report, JAVA);
        assertTrue(said.contains("context closed"), said);
        String text = Files.readString(report);
        assertTrue(text.contains("\"host_end\"") && text.contains("\"outcome\":\"clean\"") && text.contains("spring-context"), text);
    }

    @Test
    void anEventStreamEndsWithItsLastChunk() throws Exception {
        int port = freePort();
        Path report = Files.createTempFile("graceshut-test-", ".json");
        ProcessBuilder builder = new ProcessBuilder(JAVA).redirectError(ProcessBuilder.Redirect.INHERIT);
        builder.environment().put("PORT", Integer.toString(port));
        builder.environment().put("GRACESHUT_REPORT", report.toString());
        Process process = builder.start();
        try (BufferedReader out = process.inputReader(); Socket client = new Socket()) {
            for (String line = out.readLine(); !"ready".equals(line); line = out.readLine()) {
                assertTrue(line != null, "it ended without ready");
            }
            client.connect(new InetSocketAddress("127.0.0.1", port));
            client.setSoTimeout(30_000);
            client.getOutputStream().write("GET /events HTTP/1.1\r\nHost: t\r\n\r\n".getBytes(StandardCharsets.ISO_8859_1));
            StringBuilder read = new StringBuilder();
            while (read.indexOf("one") < 0) {
                int c = client.getInputStream().read();
                assertTrue(c >= 0, read::toString);
                read.append((char) c);
            }
            process.toHandle().destroy();
            String rest = new String(client.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1);
            assertTrue(rest.endsWith("0\r\n\r\n"), rest);
        }
        assertTrue(process.waitFor(60, TimeUnit.SECONDS), "still there");
        assertEquals(0, process.exitValue());
        assertTrue(Files.readString(report).contains("\"outcome\":\"clean\""), () -> report.toString());
    }
}
