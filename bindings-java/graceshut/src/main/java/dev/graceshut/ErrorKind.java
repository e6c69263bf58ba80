package dev.graceshut;

/** Kinds of errors, the same in every language; numbers and names are those of graceshut.h. */
public enum ErrorKind {
    /** A required value was null. */
    NULL(1),
    /** Text is not valid UTF-8. */
    NOT_UTF8(2),
    /** No phase of that name in the plan; the words name the nearest. */
    UNKNOWN_PHASE(3),
    /** A time is negative, zero where it may not be, or too large. */
    BAD_TIME(4),
    /** Another argument is out of its range. */
    BAD_VALUE(5),
    /** The configuration has an unknown key or a bad value. */
    BAD_CONFIG(6),
    /** The phases contradict each other. */
    BAD_PLAN(7),
    /** The reserves do not fit into the grace. */
    PLAN_DOES_NOT_FIT(8),
    /** A second install asked for other options than the first. */
    DISAGREE(9),
    /** The runtime was uninstalled: install again. */
    CLOSED(10),
    /** The phase, or the whole shutdown, is already over. */
    TOO_LATE(11),
    /** A hook's {@code after} closes a circle. */
    CYCLE(12),
    /** Not allowed on this thread: it runs a hook. */
    WRONG_THREAD(13),
    /** Nothing is installed. */
    NOT_INSTALLED(14),
    /** Jar and library are of different versions. */
    ABI_MISMATCH(15),
    /** The operating system refused something. */
    OS(16),
    /** A wait's limit passed first. */
    TIMEOUT(17),
    /** This build does not have that. */
    UNSUPPORTED(18),
    /** A bug in graceshut, contained. Please report it. */
    INTERNAL(99);

    private final int code;

    ErrorKind(int code) {
        this.code = code;
    }

    /** The number in graceshut.h. */
    public int code() {
        return code;
    }

    /** The name in every language, as in {@code "unknown_phase"}. */
    public String word() {
        return name().toLowerCase(java.util.Locale.ROOT);
    }

    static ErrorKind of(int code) {
        for (ErrorKind kind : values()) {
            if (kind.code == code) {
                return kind;
            }
        }
        return INTERNAL;
    }
}
