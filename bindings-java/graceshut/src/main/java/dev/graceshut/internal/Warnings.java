package dev.graceshut.internal;

import java.util.function.Consumer;

/** The report's {@code warnings}, for adapters. */
public final class Warnings {
    private static volatile Consumer<String> to = message -> {};

    private Warnings() {}

    /** Where they go from now on. */
    public static void to(Consumer<String> report) {
        to = report;
    }

    /** Adds one. */
    public static void say(String message) {
        to.accept(message);
    }
}
