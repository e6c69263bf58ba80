package dev.graceshut;

import java.time.Duration;

/** Durations as the library takes them. */
final class Micros {
    private Micros() {}

    /** What is too large for a long is too large for the library, which says so. */
    static long of(Duration d, String what) {
        if (d == null) {
            throw new GraceshutException(ErrorKind.NULL, what + " is null");
        }
        try {
            return Math.addExact(Math.multiplyExact(d.getSeconds(), 1_000_000L), d.getNano() / 1000);
        } catch (ArithmeticException e) {
            throw new GraceshutException(ErrorKind.BAD_TIME, what + " is " + d + ": more than 366 days");
        }
    }

    /** As {@link #of}, for times of which zero is none. */
    static long positive(Duration d, String what) {
        long us = of(d, what);
        if (us <= 0) {
            throw new GraceshutException(ErrorKind.BAD_TIME, what + " is " + d + ": a time above zero is needed");
        }
        return us;
    }

    static Duration from(long us) {
        return Duration.ofSeconds(us / 1_000_000, us % 1_000_000 * 1000);
    }
}
