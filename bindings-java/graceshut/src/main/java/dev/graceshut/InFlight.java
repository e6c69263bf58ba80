package dev.graceshut;

import com.sun.jna.Pointer;
import dev.graceshut.internal.Lib;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.concurrent.Callable;

/**
 * A group of work in flight: {@link Phase#DRAIN} ends as soon as every unit has left. Any thread; entering and leaving take no
 * lock and make no native call (leaving does while the process drains), and a unit may leave on another thread.
 *
 * <p>The counters lie in memory that the core reads; the layout is written down at the end of graceshut.h.
 */
public final class InFlight {
    private static final VarHandle INT = MethodHandles.byteBufferViewVarHandle(int[].class, ByteOrder.nativeOrder());
    private static final int MAGIC = 0x46495347;
    private static final int WORD = 64;
    private static final int LEFT = 64;
    private static final int DRAINING = 2;

    private final ByteBuffer page;
    private final int first;
    private final int stride;
    private final int mask;

    InFlight(String group) {
        Pointer at = Lib.graceshut_inflight_page(group);
        if (at == null) {
            GraceshutException.check(ErrorKind.BAD_VALUE.code());
        }
        if (at.getInt(0) != MAGIC || at.getInt(4) != 1) {
            throw new GraceshutException(ErrorKind.ABI_MISMATCH, "the page of work in flight has layout " + at.getInt(4) + ", not 1");
        }
        mask = at.getInt(8) - 1;
        stride = at.getInt(12);
        first = at.getInt(16);
        page = at.getByteBuffer(0, first + (long) stride * (mask + 1));
    }

    /** The calling thread's counter of units entered. */
    private int stripe() {
        return first + ((int) threadId(Thread.currentThread()) & mask) * stride;
    }

    @SuppressWarnings("deprecation") // threadId() is not there before Java 19; an overridden getId only costs speed
    private static long threadId(Thread thread) {
        return thread.getId();
    }

    private int word() {
        return (int) INT.getVolatile(page, WORD);
    }

    /** True from the trigger on: readiness turns red, work is served on. */
    public boolean isStopping() {
        return word() >= 1;
    }

    /** True from the start of {@code drain} on: new work is refused. */
    public boolean isDraining() {
        return word() >= DRAINING;
    }

    /** Counts one unit in: true, and {@link #leave()} ends it; false once work is refused, then nothing is to be ended. */
    public boolean tryEnter() {
        INT.getAndAdd(page, stripe(), 1);
        if (word() != DRAINING) {
            return true;
        }
        leave();
        return false;
    }

    /** Counts one unit out. */
    public void leave() {
        INT.getAndAdd(page, stripe() + LEFT, 1);
        if (word() == DRAINING) {
            Lib.graceshut_inflight_wake();
        }
    }

    /** Counts one unit in; null once work is refused. Made for {@code try}, which takes a null. */
    public Guard enter() {
        return tryEnter() ? new Guard(this) : null;
    }

    /**
     * Counts one unit in.
     *
     * @throws DrainingException once work is refused
     */
    public Guard track() {
        if (!tryEnter()) {
            throw new DrainingException();
        }
        return new Guard(this);
    }

    /**
     * Runs {@code work} counted.
     *
     * @throws DrainingException without calling it, once work is refused
     * @throws Exception what {@code work} throws
     */
    public <T> T track(Callable<T> work) throws Exception {
        try (Guard unit = track()) {
            return work.call();
        }
    }

    /** Counts a part of work that was accepted before; never refused. */
    Guard enterPart() {
        INT.getAndAdd(page, stripe(), 1);
        return new Guard(this);
    }

    /** Units in flight; never lower than the truth at some instant during the call. */
    public int count() {
        // Every `left` before any `entered`: a unit that leaves between the two sums is counted as still there.
        int left = sum(LEFT);
        return sum(0) - left;
    }

    private int sum(int offset) {
        int sum = 0;
        for (int i = 0; i <= mask; i++) {
            sum += (int) INT.getVolatile(page, first + i * stride + offset);
        }
        return sum;
    }
}
