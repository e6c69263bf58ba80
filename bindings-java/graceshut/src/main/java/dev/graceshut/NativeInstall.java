package dev.graceshut;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import dev.graceshut.internal.Json;
import dev.graceshut.internal.Lib;
import java.nio.charset.StandardCharsets;

/** graceshut_options and graceshut_host, member by member; the library checks both sizes. */
final class NativeInstall {
    /** Strings the library may use as long as the process lives. */
    private static Memory host;

    private NativeInstall() {}

    static Pointer install(Options options) {
        if (host == null) {
            host = host();
        }
        try (Memory o = new Memory(56); Memory json = text(Json.write(options.values)); Memory out = new Memory(8)) {
            o.clear();
            o.setLong(0, 56);
            o.setPointer(40, json);
            o.setPointer(48, host);
            GraceshutException.check(Lib.graceshut_install(o, out));
            return out.getPointer(0);
        }
    }

    private static Memory host() {
        Memory language = text("java");
        Memory version = text(System.getProperty("java.version", ""));
        Memory h = new Memory(56 + language.size() + version.size());
        h.clear();
        h.setLong(0, 56);
        h.write(56, language.getByteArray(0, (int) language.size()), 0, (int) language.size());
        h.write(56 + language.size(), version.getByteArray(0, (int) version.size()), 0, (int) version.size());
        h.setPointer(8, h.share(56));
        h.setPointer(16, h.share(56 + language.size()));
        h.setByte(50, (byte) 1); // tells_of_end
        return h;
    }

    private static Memory text(String s) {
        byte[] bytes = s.getBytes(StandardCharsets.UTF_8);
        Memory m = new Memory(bytes.length + 1L);
        m.write(0, bytes, 0, bytes.length);
        m.setByte(bytes.length, (byte) 0);
        return m;
    }
}
