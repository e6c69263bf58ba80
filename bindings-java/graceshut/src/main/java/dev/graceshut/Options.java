package dev.graceshut;

import dev.graceshut.internal.Json;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;

/** Options of {@link Graceshut#install(Options)}. Environment ({@code GRACESHUT_*}) beats graceshut.toml beats these. */
public final class Options {
    /** How the process leaves. */
    public enum Exit {
        /** Through System.exit. */
        HOST,
        /** As HOST, but a clean shutdown dies by the signal that started it, as the last act. */
        RERAISE,
        /** Never: {@link Graceshut#await()} returns and the program does what it likes. */
        MANUAL
    }

    /** What a repeated signal does. */
    public enum Repeat {
        /** The second cuts the plan to its reserves, the third leaves at once. */
        EXPEDITE,
        /** The second leaves at once. */
        INTERACTIVE,
        /** A repeated TERM is ignored. */
        ORCHESTRATED
    }

    /** Who leaves first when every phase is over after a signal (spec 6.6). */
    public enum Leave {
        /** BY_ITSELF where the program handles that signal itself ({@code sun.misc.Signal}) and waits in no await; else AT_ONCE. */
        AUTO,
        /** System.exit is called. */
        AT_ONCE,
        /** The program is given until the deadline to leave by itself; only then is System.exit called. */
        BY_ITSELF
    }

    final Map<String, Object> values;
    final boolean logEvents;

    private Options(Builder b) {
        values = new LinkedHashMap<>(b.values);
        logEvents = b.logEvents;
    }

    /** Nothing said. */
    public static Options defaults() {
        return builder().build();
    }

    /** Begins one. */
    public static Builder builder() {
        return new Builder();
    }

    /** Says one option after the other. */
    public static final class Builder {
        private final Map<String, Object> values = new LinkedHashMap<>();
        private boolean logEvents = true;

        private Builder() {}

        private Builder put(String key, Object value) {
            values.put(key, value);
            return this;
        }

        /** Wall time from a signal until something outside kills the process, at least 200 ms. */
        public Builder grace(Duration grace) {
            return put("grace", Micros.of(grace, "grace"));
        }

        /** The same for {@link Graceshut#stop(String)} and a normal end; null: no deadline. */
        public Builder graceNormal(Duration grace) {
            return put("grace_normal", grace == null ? "none" : Micros.of(grace, "graceNormal"));
        }

        /** How long readiness is red before work is refused. */
        public Builder announceDelay(Duration delay) {
            return put("announce_delay", Micros.of(delay, "announceDelay"));
        }

        /** This process accepts connections: on Kubernetes it then serves on for 5 s after readiness turned red. */
        public Builder serving(boolean serving) {
            return put("serving", serving);
        }

        /** How the process leaves. */
        public Builder exit(Exit exit) {
            return put("exit", word(exit));
        }

        /** Who leaves first: graceshut, or the program that is stopping by itself. */
        public Builder leave(Leave leave) {
            return put("leave", word(leave));
        }

        /** What a repeated signal does. */
        public Builder repeat(Repeat repeat) {
            return put("repeat", word(repeat));
        }

        /**
         * Where the report goes: {@code "stderr"} (one line), {@code "stderr:json"}, {@code "fd:N"}, {@code "termination-log"},
         * {@code "none"}, or a path ({@code %p}: the pid).
         */
        public Builder report(String report) {
            return put("report", GraceshutException.text(report, "report"));
        }

        /** Defer action on a trigger until {@link Graceshut#ready()}, at most 1 s. */
        public Builder hold(boolean hold) {
            return put("hold", hold);
        }

        /** False: do without the hard end of the process at the deadline. */
        public Builder watchdog(boolean watchdog) {
            return put("watchdog", watchdog);
        }

        /** False: {@code drain} does not wait for work in flight. */
        public Builder inFlight(boolean wait) {
            return put("inflight", wait);
        }

        /** False: no events through {@link System.Logger} {@code dev.graceshut}. */
        public Builder logEvents(boolean log) {
            logEvents = log;
            return this;
        }

        /**
         * Every other option: an object with the keys of graceshut.toml, as in {@code {"phases": {"drain": {"cap": "4s"}}}}. Bare
         * numbers are microseconds. What was said before stays where this says nothing.
         *
         * @throws GraceshutException {@code bad_config} when it is no JSON object
         */
        public Builder json(String json) {
            try {
                values.putAll(Json.readObject(GraceshutException.text(json, "json")));
            } catch (IllegalArgumentException e) {
                throw new GraceshutException(ErrorKind.BAD_CONFIG, "options: " + e.getMessage());
            }
            return this;
        }

        /** The options; what they say is judged by {@link Graceshut#install(Options)}. */
        public Options build() {
            return new Options(this);
        }

        private static String word(Enum<?> value) {
            if (value == null) {
                throw new GraceshutException(ErrorKind.NULL, "an option is null");
            }
            return value.name().toLowerCase(java.util.Locale.ROOT);
        }
    }
}
