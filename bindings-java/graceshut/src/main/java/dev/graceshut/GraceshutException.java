package dev.graceshut;

import com.sun.jna.Pointer;
import dev.graceshut.internal.Lib;

/** Something graceshut refuses: the message names the culprit and the next step. */
public final class GraceshutException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final ErrorKind kind;

    /** For adapters: an error of this kind; the message names the culprit and the next step. */
    public GraceshutException(ErrorKind kind, String message) {
        super(message);
        this.kind = kind;
    }

    /** Its kind, to decide by. */
    public ErrorKind kind() {
        return kind;
    }

    /** Throws what the last call on this thread failed with, unless {@code code} is 0. */
    static void check(int code) {
        if (code != Lib.OK) {
            Pointer words = Lib.graceshut_last_error();
            throw new GraceshutException(ErrorKind.of(code), words == null ? "" : words.getString(0, "UTF-8"));
        }
    }

    /** A NUL would cut text short on its way to the library. */
    static String text(String value, String what) {
        if (value == null) {
            throw new GraceshutException(ErrorKind.NULL, what + " is null");
        }
        if (value.indexOf('\0') >= 0) {
            throw new GraceshutException(ErrorKind.BAD_VALUE, what + " has a NUL character in it");
        }
        return value;
    }
}
