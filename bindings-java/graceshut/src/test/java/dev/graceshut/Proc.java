package dev.graceshut;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import dev.graceshut.internal.Json;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** A child JVM: what it says, how it leaves, what its report tells. Every wait has a limit. */
final class Proc {
    static final int LIMIT_S = 90;
    private static final String END = "\0end";

    private final Process process;
    private final Path report;
    private final Path errors;
    private final BlockingQueue<String> lines = new LinkedBlockingQueue<>();
    final List<String> said = new ArrayList<>();

    private Proc(Process process, Path report, Path errors) {
        this.process = process;
        this.report = report;
        this.errors = errors;
        Thread reader = new Thread(this::read);
        reader.setDaemon(true);
        reader.start();
    }

    static Path home() {
        return Path.of(System.getProperty("java.home"));
    }

    /** A JDK of another version beside the one that runs the tests, found by looking. */
    static Optional<Path> otherJdk() throws IOException {
        try (Stream<Path> beside = Files.list(home().toRealPath().getParent())) {
            return beside.filter(p -> Files.isExecutable(p.resolve("bin/java")) && feature(p) > 20).findFirst();
        }
    }

    static int feature(Path jdk) {
        Properties release = new Properties();
        try (InputStream in = Files.newInputStream(jdk.resolve("release"))) {
            release.load(in);
        } catch (IOException e) {
            return 0;
        }
        return Integer.parseInt(release.getProperty("JAVA_VERSION", "0").replace("\"", "").split("[^0-9]")[0]);
    }

    static Proc start(String... args) throws IOException {
        return start(home(), List.of(), Map.of(), args);
    }

    static Proc start(Path jdk, List<String> flags, Map<String, String> env, String... args) throws IOException {
        List<String> command = new ArrayList<>();
        // Whoever started the tests may have ignored INT.
        command.addAll(List.of("env", "--default-signal=INT", "--default-signal=HUP", "--default-signal=QUIT"));
        command.addAll(List.of(jdk.resolve("bin/java").toString(), "-Xshare:auto"));
        if (!flags.contains("-XX:-TieredCompilation")) {
            command.add("-XX:TieredStopAtLevel=1");
        }
        if (feature(jdk) >= 24) {
            command.add("--enable-native-access=ALL-UNNAMED");
        }
        command.addAll(flags);
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), "dev.graceshut.Child"));
        command.addAll(List.of(args));
        return start(command, env);
    }

    static Proc start(List<String> command, Map<String, String> env) throws IOException {
        Path report = Files.createTempFile("graceshut-test-", ".json");
        Path errors = Files.createTempFile("graceshut-test-", ".err");
        Files.delete(report);
        ProcessBuilder builder = new ProcessBuilder(command).redirectError(errors.toFile());
        builder.environment().put("GRACESHUT_REPORT", report.toString());
        builder.environment().putAll(env);
        return new Proc(builder.start(), report, errors);
    }

    private void read() {
        try (BufferedReader in = new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
            for (String line = in.readLine(); line != null; line = in.readLine()) {
                lines.add(line);
            }
        } catch (IOException e) {
            lines.add("read: " + e);
        }
        lines.add(END);
    }

    /** Reads until this line. */
    Proc until(String wanted) throws InterruptedException {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(LIMIT_S);
        while (true) {
            String line = lines.poll(Math.max(0, end - System.nanoTime()), TimeUnit.NANOSECONDS);
            if (line == null || line.equals(END)) {
                process.destroyForcibly();
                return fail("no \"" + wanted + "\" in " + said + "; stderr: " + stderr());
            }
            said.add(line);
            if (line.equals(wanted)) {
                return this;
            }
        }
    }

    /** Reads one line. */
    void next() throws InterruptedException {
        String line = lines.poll(LIMIT_S, TimeUnit.SECONDS);
        assertTrue(line != null && !line.equals(END), () -> "no more lines after " + said);
        said.add(line);
    }

    Proc ready() throws InterruptedException {
        return until("ready");
    }

    Proc kill(String signal) throws IOException, InterruptedException {
        Process kill = new ProcessBuilder("kill", "-" + signal, Long.toString(process.pid())).start();
        assertEquals(0, kill.waitFor());
        return this;
    }

    /** Waits for its end; the exit status, 128 + n after a death by signal. */
    Proc leaves(int status) throws InterruptedException {
        if (!process.waitFor(LIMIT_S, TimeUnit.SECONDS)) {
            process.destroyForcibly();
            fail("still there after " + LIMIT_S + " s: " + said);
        }
        for (String line = lines.take(); !line.equals(END); line = lines.take()) {
            said.add(line);
        }
        assertEquals(status, process.exitValue(), () -> said + "; stderr: " + stderr());
        assertTrue(said.stream().noneMatch(l -> l.startsWith("FAIL")), said::toString);
        return this;
    }

    /** These lines, in this order, others between. */
    Proc order(String... wanted) {
        int at = 0;
        for (String line : said) {
            if (at < wanted.length && line.equals(wanted[at])) {
                at++;
            }
        }
        assertEquals(wanted.length, at, () -> String.join(", ", wanted) + " in this order in " + said + "; stderr: " + stderr());
        return this;
    }

    Proc silent(String line) {
        assertTrue(!said.contains(line), () -> line + " in " + said);
        return this;
    }

    long pid() {
        return process.pid();
    }

    boolean lives() {
        return process.isAlive();
    }

    String stderr() {
        try {
            return Files.readString(errors);
        } catch (IOException e) {
            return e.toString();
        }
    }

    boolean reported() {
        return Files.exists(report);
    }

    Map<String, Object> report() throws IOException {
        return Json.readObject(Files.readString(report));
    }

    Proc outcome(String outcome) throws IOException {
        assertEquals(outcome, report().get("outcome"), () -> said + " " + stderr());
        return this;
    }

    String reason() throws IOException {
        Map<?, ?> reason = (Map<?, ?>) report().get("reason");
        return reason.get("kind") + " " + reason.get("message");
    }

    Map<?, ?> hook(String name) throws IOException {
        for (Object phase : (List<?>) report().get("phases")) {
            for (Object hook : (List<?>) ((Map<?, ?>) phase).get("hooks")) {
                if (((Map<?, ?>) hook).get("name").equals(name)) {
                    return (Map<?, ?>) hook;
                }
            }
        }
        return fail("no hook " + name + " in " + report());
    }

    Proc hookWas(String name, String outcome) throws IOException {
        Map<?, ?> hook = hook(name);
        assertEquals(outcome, hook.get("outcome"), hook::toString);
        return this;
    }
}
