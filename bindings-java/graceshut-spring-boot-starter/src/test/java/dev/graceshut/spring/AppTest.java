package dev.graceshut.spring;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.ServerSocket;
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
}
