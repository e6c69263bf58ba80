package dev.graceshut;

import dev.graceshut.http.Listeners;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * The gate of a server that has no adapter; made by {@link Graceshut#listener(java.nio.channels.NetworkChannel, Close)}. Any
 * thread; nothing blocks.
 *
 * <pre>{@code
 * try (var work = served.enter()) {
 *     if (work == null) { answer(503, "Connection: close"); return; }
 *     handle(request);
 * }
 * }</pre>
 */
public final class Served {
    private static final long LOOK_MS = 5;

    /** Stops a server, or tells it something. */
    @FunctionalInterface
    public interface Close {
        /**
         * Blocks until it is done: what is asynchronous is waited for, as in {@code () -> channel.close().sync()}.
         *
         * @throws Exception the hook has then failed
         */
        void close() throws Exception;
    }

    /** Asked at the start of drain: a server may be bound after it was registered. */
    @FunctionalInterface
    interface Port {
        int get() throws IOException;
    }

    private final InFlight work;
    private final Port port;
    private final boolean closeCuts;
    private final Close close;
    private final Close refuse;
    private final AtomicInteger active = new AtomicInteger();
    private final AtomicBoolean came = new AtomicBoolean();

    Served(Graceshut gs, Port port, boolean closeCuts, Close close, ListenerOptions options) {
        if (close == null || options == null) {
            throw new GraceshutException(ErrorKind.NULL, "close or options is null");
        }
        this.work = gs.inFlight();
        this.port = port;
        this.closeCuts = closeCuts;
        this.close = close;
        this.refuse = options.refuse;
        gs.hook(Phase.DRAIN, options.name, this::drain);
        gs.setServing(true);
    }

    /** One unit of a server's work; {@link #close()} ends it, on any thread, once. */
    public static final class Work implements AutoCloseable {
        private final Served served;
        private final AtomicBoolean open = new AtomicBoolean(true);

        private Work(Served served) {
            this.served = served;
        }

        @Override
        public void close() {
            if (open.compareAndSet(true, false)) {
                served.leave();
            }
        }
    }

    /** Counts one unit of work in; null from {@code drain} on: answer 503 and close. Made for {@code try}, which takes a null. */
    public Work enter() {
        return tryEnter() ? new Work(this) : null;
    }

    /** As {@link #enter()}, for code that ends elsewhere: true, and {@link #leave()} ends it. */
    public boolean tryEnter() {
        came.set(true);
        active.incrementAndGet();
        if (work.tryEnter()) {
            return true;
        }
        active.decrementAndGet();
        return false;
    }

    /** Ends one unit that {@link #tryEnter()} said true to. */
    public void leave() {
        active.decrementAndGet();
        work.leave();
    }

    /** True from the trigger on: say {@code Connection: close} with every answer, and let probes fail. Work is served on. */
    public boolean isStopping() {
        return work.isStopping();
    }

    /** True from the start of {@code drain} on: {@link #enter()} says no. */
    public boolean isDraining() {
        return work.isDraining();
    }

    private void drain(HookContext ctx) throws Exception {
        refuse.close();
        if (closeCuts) {
            Listeners.awaitIdle(ctx, () -> active.get() > 0);
        }
        Listeners.awaitClosable(ctx, () -> came.getAndSet(false), () -> active.get() > 0, List.of(port.get()));
        if (closeCuts) {
            try {
                awaitIdle();
            } finally {
                close.close(); // at the soft deadline as well: what is left then is cut
            }
        } else {
            close.close();
            awaitIdle();
        }
    }

    private void awaitIdle() throws InterruptedException {
        while (active.get() > 0) {
            Thread.sleep(LOOK_MS);
        }
    }

    static int port(SocketAddress address) throws IOException {
        if (address instanceof InetSocketAddress inet) {
            return inet.getPort();
        }
        if (address == null) {
            throw new IOException("the listener is not bound to an address");
        }
        return 0; // a Unix socket: no balancer, no queue to be looked at
    }
}
