package dev.graceshut.http;

import com.sun.jna.Pointer;
import dev.graceshut.HookContext;
import dev.graceshut.internal.Lib;
import java.util.Arrays;
import java.util.Collection;
import java.util.function.BooleanSupplier;

/**
 * When a server's listeners can be closed without cutting anybody off, for adapters: what waits in a listener's queue is reset
 * when it is closed, and balancers go on sending for a while.
 */
public final class Listeners {
    private static final int LOOK_MS = 10;
    private static final int MOST = 16;

    private Listeners() {}

    /**
     * Blocks, in a hook of {@code drain}, while the server goes on accepting and refuses in words (503, {@code Connection:
     * close}), until its listeners are to be closed: nobody has come for 150 ms, or a second has gone; then newcomers are turned
     * away in the kernel and the queue has been empty for 50 ms.
     *
     * @param came true when somebody came with work since it was asked last; probes do not count
     * @param busy true while a client is still to be answered
     * @param ports those the server listens on; a listener that another process has open as well is left alone
     * @throws InterruptedException at the hook's soft deadline
     */
    public static void awaitClosable(HookContext ctx, BooleanSupplier came, BooleanSupplier busy, Collection<Integer> ports)
            throws InterruptedException {
        int[] listeners = ports.stream().distinct().flatMapToInt(port -> Arrays.stream(on(port))).toArray();
        Pointer linger = Lib.graceshut_linger_new(ctx.remaining().map(d -> d.toNanos() / 1000).orElse(Lib.FOREVER), 0);
        try {
            while (Lib.graceshut_linger_step(linger, seen(came, busy), listeners, listeners.length) == 0) {
                Thread.sleep(LOOK_MS);
            }
        } finally {
            Lib.graceshut_linger_free(linger);
        }
    }

    /**
     * Blocks while work is in flight and the server goes on accepting and refusing in words, at most for half of what the hook
     * has: before {@link #awaitClosable}, for a server whose stop cuts what is in flight (spec 9.5).
     *
     * @throws InterruptedException at the hook's soft deadline
     */
    public static void awaitIdle(HookContext ctx, BooleanSupplier busy) throws InterruptedException {
        long until = System.nanoTime() + ctx.remaining().map(d -> d.toNanos() / 2).orElse(Long.MAX_VALUE / 2);
        while (busy.getAsBoolean() && System.nanoTime() < until) {
            Thread.sleep(LOOK_MS);
        }
    }

    private static int seen(BooleanSupplier came, BooleanSupplier busy) {
        return (came.getAsBoolean() ? Lib.CAME : 0) | (busy.getAsBoolean() ? Lib.BUSY : 0);
    }

    /** The JVM does not tell a listener's descriptor. */
    private static int[] on(int port) {
        int[] found = new int[MOST];
        long n = Lib.graceshut_listeners((short) port, found, found.length);
        return Arrays.copyOf(found, (int) Math.min(n, found.length));
    }
}
