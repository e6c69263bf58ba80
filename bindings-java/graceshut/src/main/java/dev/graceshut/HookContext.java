package dev.graceshut;

import java.time.Duration;
import java.util.List;
import java.util.Optional;

/** What a running hook knows. Any thread; after the hook has ended it answers as one whose time has passed. */
public interface HookContext {
    /** The hook's name. */
    String name();

    /** The phase it runs in. */
    String phase();

    /** Why the process stops: the first trigger. */
    Reason reason();

    /** Time until the hard deadline, zero when it has passed; empty when there is none. */
    Optional<Duration> remaining();

    /** The hard deadline on the clock of {@link System#nanoTime()}; empty when there is none. */
    Optional<Long> deadline();

    /** True from the soft deadline on: finish what cannot be left, and end. */
    boolean isCancelled();

    /**
     * Asks for more time before the soft deadline; answers what was granted, never past what later phases are promised.
     *
     * @throws GraceshutException {@code bad_time} for a negative one
     */
    Duration extend(Duration more);

    /** Names of hooks that were abandoned earlier and still run: what they use must not be pulled away. */
    List<String> abandoned();

    /** Says a line, as the event {@code log}. */
    void log(String message);

    /** Says how far the hook is, {@code done} of {@code total} (0: unknown), as the event {@code progress}. */
    void progress(long done, long total);

    /** Calls {@code f} once when the hook is cancelled, on another thread; at once when it already is. */
    void onCancel(Runnable f);
}
