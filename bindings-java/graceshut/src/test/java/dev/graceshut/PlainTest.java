package dev.graceshut;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.graceshut.internal.Json;
import dev.graceshut.internal.Lib;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** What needs no child, and how the library is found. */
class PlainTest {
    @Test
    void kindsAreThoseOfTheHeader() {
        for (int code = 1; code < 100; code++) {
            String name = Lib.graceshut_error_name(code).getString(0);
            int wanted = code;
            String ours = Arrays.stream(ErrorKind.values()).filter(k -> k.code() == wanted).map(ErrorKind::word).findFirst().orElse("unknown");
            assertEquals(name, ours, "error " + code);
        }
    }

    @Test
    void versionIsThatOfTheJar() {
        assertEquals("0.1.0", Graceshut.version());
    }

    @Test
    void json() {
        String text = "{\"a\":[1,-2.5,true,null,\"x\\u00e4\\n\\\"\"],\"b\":{}}";
        Object value = Json.read(text);
        assertEquals(Arrays.asList(1L, -2.5, true, null, "xä\n\""), ((Map<?, ?>) value).get("a"));
        assertEquals(value, Json.read(Json.write(value)));
        for (String bad : List.of("", "{", "[1,]", "{\"a\"}", "tru", "\"\\u12", "1 2", "nulll")) {
            assertThrows(IllegalArgumentException.class, () -> Json.read(bad), bad);
        }
    }

    @Test
    void nothingIsLeftInTheTemporaryFolder() throws Exception {
        Path tmp = Files.createTempDirectory("graceshut-test-");
        Proc.start(Proc.home(), List.of("-Djava.io.tmpdir=" + tmp), Map.of(), "await").ready().kill("KILL").leaves(137);
        try (Stream<Path> left = Files.list(tmp)) {
            assertEquals(List.of(), left.filter(p -> p.getFileName().toString().startsWith("graceshut")).toList());
        }
    }

    @Test
    void theLibraryCanBeNamed() throws Exception {
        Path folder = Files.createTempDirectory("graceshut-test-");
        Path file = folder.resolve("libgraceshut.so");
        Files.copy(PlainTest.class.getResourceAsStream("/META-INF/native/linux-x86_64/libgraceshut.so"), file);
        for (Path given : List.of(folder, file)) {
            Proc.start(Proc.home(), List.of("-Dgraceshut.library.path=" + given), Map.of(), "return").leaves(0).order("hook flush/b");
        }
        Proc p = Proc.start(Proc.home(), List.of("-Dgraceshut.library.path=" + folder.resolve("nothing.so")), Map.of(), "return");
        p.leaves(1);
        assertTrue(p.stderr().contains("UnsatisfiedLinkError"), p::stderr);
    }

    @Test
    void aFullOrForbiddenTemporaryFolderIsNamed() throws IOException, InterruptedException {
        Proc p = Proc.start(Proc.home(), List.of("-Djava.io.tmpdir=/dev/null/none", "-Djna.tmpdir=" + System.getProperty("java.io.tmpdir")),
                Map.of(), "return");
        p.leaves(1);
        assertTrue(p.stderr().contains("graceshut.library.path"), p::stderr);
    }
}
