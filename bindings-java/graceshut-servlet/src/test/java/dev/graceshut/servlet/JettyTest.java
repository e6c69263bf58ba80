package dev.graceshut.servlet;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A real Jetty under real load, stopped by TERM: `graceshut verify` loses nothing. */
class JettyTest {
    @ParameterizedTest
    @ValueSource(strings = {"work", "async"})
    void nothingIsLost(String path) throws Exception {
        Path verify = Path.of(System.getProperty("graceshut.root", "../.."), "target", "release", "graceshut");
        assertTrue(Files.isExecutable(verify), verify + " is not built: make cli");
        int port;
        try (ServerSocket free = new ServerSocket(0)) {
            port = free.getLocalPort();
        }
        Path json = Files.createTempFile("graceshut-test-", ".json");
        ProcessBuilder builder = new ProcessBuilder(List.of(verify.toAbsolutePath().toString(), "verify", "--connections", "8",
                "--after", "2s", "--grace", "10s", "--ready-timeout", "60s", "--ready", "http://127.0.0.1:" + port + "/readyz", "--load",
                "http://127.0.0.1:" + port + "/" + path, "--json", json.toString(), "--",
                Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp",
                System.getProperty("java.class.path"), "dev.graceshut.servlet.JettyChild"));
        builder.environment().put("PORT", Integer.toString(port));
        Path out = Files.createTempFile("graceshut-test-", ".out");
        Process process = builder.redirectErrorStream(true).redirectOutput(out.toFile()).start();
        assertTrue(process.waitFor(120, TimeUnit.SECONDS), "verify hangs");
        assertEquals(0, process.exitValue(), () -> read(out));
        String verdict = Files.readString(json).replaceAll("\\s", "");
        assertTrue(verdict.contains("\"lost\":0"), verdict);
        assertTrue(verdict.contains("\"outcome\":\"clean\""), verdict);
    }

    private static String read(Path file) {
        try {
            return Files.readString(file);
        } catch (java.io.IOException e) {
            return e.toString();
        }
    }

    @Test
    void theModuleIsNamed() throws Exception {
        assertEquals("dev.graceshut.servlet", java.lang.module.ModuleFinder.of(Path.of("target", "classes")).findAll()
                .iterator().next().descriptor().name());
    }
}
