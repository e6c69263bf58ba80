package dev.graceshut;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** What a hook can say about itself. Immutable: each method answers another one. */
public final class HookOptions {
    private static final HookOptions NONE = new HookOptions(null, List.of(), false);

    final Duration timeout;
    final List<String> after;
    final boolean optional;

    private HookOptions(Duration timeout, List<String> after, boolean optional) {
        this.timeout = timeout;
        this.after = after;
        this.optional = optional;
    }

    /** Nothing said. */
    public static HookOptions none() {
        return NONE;
    }

    /** A limit of its own; a hook never gets more than its phase has left. */
    public static HookOptions timeout(Duration timeout) {
        return new HookOptions(timeout, List.of(), false);
    }

    /** Runs after all hooks of these names in the same phase, whatever their outcome. */
    public HookOptions after(String... names) {
        List<String> all = new ArrayList<>(after);
        all.addAll(List.of(names));
        return new HookOptions(timeout, List.copyOf(all), optional);
    }

    /** Its outcome does not count in the result. */
    public HookOptions optional() {
        return new HookOptions(timeout, after, true);
    }
}
