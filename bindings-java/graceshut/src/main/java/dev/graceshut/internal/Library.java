package dev.graceshut.internal;

import com.sun.jna.NativeLibrary;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/**
 * Finds libgraceshut.so: where {@code -Dgraceshut.library.path} says (the file, or the folder it lies in), else inside the jar.
 *
 * <p>The one in the jar is written to a folder that only its owner can enter, loaded, and deleted at once: the kernel keeps
 * what is mapped, and nothing is left behind however the process ends.
 */
final class Library {
    static final String PROPERTY = "graceshut.library.path";
    private static final String FILE = "libgraceshut.so";
    /** RTLD_NOW and, by leaving RTLD_GLOBAL out, no symbol of ours for anybody else. */
    private static final int OPEN_FLAGS = 2;

    private Library() {}

    static NativeLibrary load() {
        String given = System.getProperty(PROPERTY);
        if (given != null && !given.isEmpty()) {
            Path path = Path.of(given);
            return open(Files.isDirectory(path) ? path.resolve(FILE) : path);
        }
        String platform = platform();
        String resource = "/META-INF/native/" + platform + "/" + FILE;
        try (InputStream in = Library.class.getResourceAsStream(resource)) {
            if (in == null) {
                throw new UnsatisfiedLinkError("this jar has no graceshut library for " + platform + ": build it with `make "
                        + "c-library` and name it by -D" + PROPERTY + "=FILE");
            }
            return openCopy(in);
        } catch (IOException e) {
            UnsatisfiedLinkError error = new UnsatisfiedLinkError("cannot unpack " + FILE + " into " + System.getProperty("java.io.tmpdir")
                    + " (" + e + "): name another place by -Djava.io.tmpdir=FOLDER, or the library itself by -D" + PROPERTY + "=FILE");
            error.initCause(e);
            throw error;
        }
    }

    private static NativeLibrary openCopy(InputStream in) throws IOException {
        // Mode 700: nobody else can swap the file before it is loaded.
        Path folder = Files.createTempDirectory("graceshut-");
        Path file = folder.resolve(FILE);
        try {
            Files.copy(in, file);
            return open(file);
        } finally {
            Files.deleteIfExists(file);
            Files.deleteIfExists(folder);
        }
    }

    private static NativeLibrary open(Path file) {
        Map<String, Object> options = Map.of(
                com.sun.jna.Library.OPTION_STRING_ENCODING, "UTF-8", com.sun.jna.Library.OPTION_OPEN_FLAGS, OPEN_FLAGS);
        return NativeLibrary.getInstance(file.toAbsolutePath().toString(), options);
    }

    private static String platform() {
        String os = System.getProperty("os.name", "?").toLowerCase(java.util.Locale.ROOT);
        String arch = System.getProperty("os.arch", "?");
        return os.replaceAll("[^a-z0-9]", "") + "-" + (arch.equals("amd64") ? "x86_64" : arch);
    }
}
