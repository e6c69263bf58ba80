package dev.graceshut;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import dev.graceshut.internal.Lib;
import java.nio.charset.StandardCharsets;

/** graceshut_hook_options, in native memory as long as the registration takes; the library checks the size. */
final class NativeHookOptions implements AutoCloseable {
    private static final int SIZE = 40;

    private final Memory memory;

    NativeHookOptions(HookOptions options) {
        byte[][] names = options.after.stream().map(n -> GraceshutException.text(n, "after") + "\0")
                .map(n -> n.getBytes(StandardCharsets.UTF_8)).toArray(byte[][]::new);
        long text = SIZE + 8L * names.length;
        long size = text;
        for (byte[] name : names) {
            size += name.length;
        }
        memory = new Memory(size);
        memory.clear();
        memory.setLong(0, SIZE);
        memory.setLong(8, options.timeout == null ? 0 : Micros.positive(options.timeout, "timeout"));
        memory.setPointer(16, names.length == 0 ? null : memory.share(SIZE));
        memory.setLong(24, names.length);
        memory.setInt(32, Lib.HOOK_IN_HOST | (options.optional ? Lib.HOOK_OPTIONAL : 0));
        for (int i = 0; i < names.length; text += names[i++].length) {
            memory.setPointer(SIZE + 8L * i, memory.share(text));
            memory.write(text, names[i], 0, names[i].length);
        }
    }

    Pointer at() {
        return memory;
    }

    @Override
    public void close() {
        memory.close();
    }
}
