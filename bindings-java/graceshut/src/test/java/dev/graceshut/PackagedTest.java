package dev.graceshut;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** As a new user would: an empty folder, the packaged jars and the quickstart, on the class path, the module path and by Maven. */
class PackagedTest {
    private static final Path ROOT = Path.of(System.getProperty("graceshut.root", "../..")).toAbsolutePath().normalize();
    private static final Path JARS = ROOT.resolve("target/java/lib");

    private static String tool(String name) {
        return Proc.home().resolve("bin").resolve(name).toString();
    }

    private static void run(Path folder, String... command) throws Exception {
        Path out = Files.createTempFile("graceshut-test-", ".out");
        Process process = new ProcessBuilder(command).directory(folder.toFile()).redirectErrorStream(true).redirectOutput(out.toFile()).start();
        assertTrue(process.waitFor(300, TimeUnit.SECONDS), "it hangs");
        assertEquals(0, process.exitValue(), Files.readString(out));
    }

    private static Path emptyFolderWithQuickstart() throws IOException {
        assertTrue(Files.isDirectory(JARS), "no packaged jars: make java-jar");
        Path folder = Files.createTempDirectory("graceshut-test-");
        Files.copy(ROOT.resolve("examples/java/Quickstart.java"), folder.resolve("Quickstart.java"));
        return folder;
    }

    private static void behaves(Proc p) throws Exception {
        p.until("ready: press Ctrl-C").kill("TERM").leaves(0);
        assertTrue(p.said.get(1).matches("no new work; [34]\\.\\d s to finish what is there"), p.said::toString);
        assertEquals("buffers written", p.said.get(2));
        p.outcome("clean");
    }

    @Test
    void onTheClassPath() throws Exception {
        Path folder = emptyFolderWithQuickstart();
        run(folder, tool("javac"), "-cp", JARS + "/*", "Quickstart.java");
        behaves(Proc.start(List.of(tool("java"), "-cp", JARS + "/*:" + folder, "Quickstart"), Map.of()));
    }

    @Test
    void onTheModulePath() throws Exception {
        Path folder = emptyFolderWithQuickstart();
        Path source = Files.createDirectories(folder.resolve("src/quick"));
        Files.writeString(source.resolve("Quickstart.java"), "package quick;\n" + Files.readString(folder.resolve("Quickstart.java")));
        Files.writeString(folder.resolve("src/module-info.java"), "module quick { requires dev.graceshut; }\n");
        String jars;
        try (Stream<Path> all = Files.list(JARS)) {
            jars = String.join(":", all.map(Path::toString).filter(n -> n.contains("/graceshut-0") || n.contains("/jna-")).toList());
        }
        run(folder, tool("javac"), "-p", jars, "-d", "classes", "src/module-info.java", "src/quick/Quickstart.java");
        for (Path jdk : Stream.concat(Stream.of(Proc.home()), Proc.otherJdk().stream()).toList()) {
            String java = jdk.resolve("bin/java").toString();
            Stream<String> open = Proc.feature(jdk) >= 24 ? Stream.of("--enable-native-access=com.sun.jna") : Stream.of();
            List<String> command = Stream.concat(Stream.concat(Stream.of(java), open),
                    Stream.of("-p", jars + ":" + folder.resolve("classes"), "-m", "quick/quick.Quickstart")).toList();
            Proc p = Proc.start(command, Map.of());
            behaves(p);
            assertEquals("", p.stderr());
        }
    }

    @Test
    void byMaven() throws Exception {
        Path folder = emptyFolderWithQuickstart();
        Path source = Files.createDirectories(folder.resolve("src/main/java"));
        Files.move(folder.resolve("Quickstart.java"), source.resolve("Quickstart.java"));
        Files.writeString(folder.resolve("pom.xml"), """
                <project xmlns="http://maven.apache.org/POM/4.0.0">
                  <modelVersion>4.0.0</modelVersion>
                  <groupId>app</groupId><artifactId>app</artifactId><version>1</version>
                  <properties>
                    <maven.compiler.release>17</maven.compiler.release>
                    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
                  </properties>
                  <dependencies>
                    <dependency><groupId>dev.graceshut</groupId><artifactId>graceshut</artifactId><version>0.1.0</version></dependency>
                  </dependencies>
                  <build><plugins>
                    <plugin><artifactId>maven-resources-plugin</artifactId><version>3.3.1</version></plugin>
                    <plugin><artifactId>maven-compiler-plugin</artifactId><version>3.14.1</version></plugin>
                  </plugins></build>
                </project>
                """);
        run(folder, "mvn", "-B", "-ntp", "-q", "compile", "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:build-classpath",
                "-Dmdep.outputFile=cp.txt");
        String cp = Files.readString(folder.resolve("cp.txt")).strip();
        behaves(Proc.start(List.of(tool("java"), "-cp", cp + ":" + folder.resolve("target/classes"), "Quickstart"), Map.of()));
    }

    @Test
    void theDemoServiceLosesNothing() throws Exception {
        Path verify = ROOT.resolve("target/release/graceshut");
        assertTrue(Files.isExecutable(verify), verify + " is not built: make cli");
        assertTrue(Files.isDirectory(JARS), "no packaged jars: make java-jar");
        int port;
        try (java.net.ServerSocket free = new java.net.ServerSocket(0)) {
            port = free.getLocalPort();
        }
        Path json = Files.createTempFile("graceshut-test-", ".json");
        Path out = Files.createTempFile("graceshut-test-", ".out");
        ProcessBuilder builder = new ProcessBuilder(verify.toString(), "verify", "--connections", "8", "--after", "2s", "--grace", "10s",
                "--ready-timeout", "60s", "--ready", "http://127.0.0.1:" + port + "/readyz", "--load", "http://127.0.0.1:" + port + "/work",
                "--json", json.toString(), "--", tool("java"), "-XX:TieredStopAtLevel=1", "-cp", JARS + "/*",
                ROOT.resolve("examples/java/Service.java").toString()).redirectErrorStream(true).redirectOutput(out.toFile());
        builder.environment().put("PORT", Integer.toString(port));
        Process process = builder.start();
        assertTrue(process.waitFor(150, TimeUnit.SECONDS), "it hangs");
        assertEquals(0, process.exitValue(), Files.readString(out));
        String verdict = Files.readString(json).replaceAll("\\s", "");
        assertTrue(verdict.contains("\"lost\":0") && verdict.contains("\"outcome\":\"clean\""), verdict);
    }
}
