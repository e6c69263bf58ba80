package dev.graceshut;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.graceshut.internal.Json;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** Servers without an adapter, behind {@link Graceshut#listener}, under `graceshut verify`. */
class ServedTest {
    @Test
    void theReadmesServerLosesNothing() throws Exception {
        Path example = root().resolve("examples/java/AnyServer.java");
        verify(List.of(example.toString()));
    }

    private static Path root() {
        return Path.of(System.getProperty("graceshut.root", "../..")).toAbsolutePath();
    }

    private static void verify(List<String> program) throws Exception {
        Path tool = root().resolve("target/release/graceshut");
        assertTrue(Files.isExecutable(tool), tool + " is not built: make cli");
        int port;
        try (ServerSocket free = new ServerSocket(0)) {
            port = free.getLocalPort();
        }
        String at = "http://127.0.0.1:" + port;
        Path json = Files.createTempFile("graceshut-test-", ".json");
        Path out = Files.createTempFile("graceshut-test-", ".out");
        List<String> command = new ArrayList<>(List.of(tool.toString(), "verify", "--connections", "8", "--after", "2s", "--grace", "10s",
                "--ready-timeout", "60s", "--ready", at + "/readyz", "--load", at + "/work", "--json", json.toString(), "--",
                Proc.home().resolve("bin/java").toString(), "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp",
                System.getProperty("java.class.path")));
        command.addAll(program);
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(out.toFile());
        builder.environment().put("PORT", Integer.toString(port));
        Process process = builder.start();
        assertTrue(process.waitFor(120, TimeUnit.SECONDS), "verify hangs");
        String said = Files.readString(out);
        assertEquals(0, process.exitValue(), said);
        Map<String, Object> verdict = Json.readObject(Files.readString(json));
        assertTrue(verdict.toString().contains("lost=0"), () -> verdict + said);
        assertTrue(verdict.toString().contains("outcome=clean"), () -> verdict + said);
    }
}
