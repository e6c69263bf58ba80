package dev.graceshut;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;

/** One unit of work in flight; {@link #close()} ends it, on any thread. */
public final class Guard implements AutoCloseable {
    private static final VarHandle OPEN;

    static {
        try {
            OPEN = MethodHandles.lookup().findVarHandle(Guard.class, "open", boolean.class);
        } catch (ReflectiveOperationException e) {
            throw new ExceptionInInitializerError(e);
        }
    }

    private final InFlight group;
    private volatile boolean open = true;

    Guard(InFlight group) {
        this.group = group;
    }

    /**
     * Counts a part of this unit in (a sub-request, a queued task); never refused while this guard is open.
     *
     * @throws GraceshutException {@code too_late} when this unit has ended
     */
    public Guard enter() {
        if (!open) {
            throw new GraceshutException(ErrorKind.TOO_LATE, "this unit of work has already ended; enter a part before close()");
        }
        return group.enterPart();
    }

    /** Ends the unit; a second call does nothing. */
    @Override
    public void close() {
        if (OPEN.compareAndSet(this, true, false)) {
            group.leave();
        }
    }
}
