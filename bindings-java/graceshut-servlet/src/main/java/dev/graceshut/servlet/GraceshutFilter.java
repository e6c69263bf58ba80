package dev.graceshut.servlet;

import dev.graceshut.Graceshut;
import dev.graceshut.HookContext;
import dev.graceshut.InFlight;
import dev.graceshut.Phase;
import jakarta.servlet.AsyncEvent;
import jakarta.servlet.AsyncListener;
import jakarta.servlet.Filter;
import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.ServletRequest;
import jakarta.servlet.ServletResponse;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Counts every request as work in flight, asynchronous ones until they complete. Served through {@code announce}; from
 * {@code drain} on new ones get 503 and {@code Connection: close}.
 *
 * <p>Map it first, to {@code /*}, with async supported, for the dispatcher type REQUEST. {@link #stop} stops the container when
 * nobody has come for a while.
 */
public final class GraceshutFilter implements Filter {
    private static final long QUIET_MS = 150;
    private static final long PATIENCE_MS = 1000;

    private final Graceshut gs;
    private final InFlight work;
    private final AtomicInteger active = new AtomicInteger();
    private volatile long lastCame = System.nanoTime();

    /** For the work in flight of {@code gs}; says that this process accepts connections. */
    public GraceshutFilter(Graceshut gs) {
        this.gs = gs;
        this.work = gs.inFlight();
        gs.setServing(true);
    }

    /** Stops a container: closes its listener and what is idle. */
    @FunctionalInterface
    public interface Stop {
        /** @throws Exception the hook has then failed */
        void stop() throws Exception;
    }

    /**
     * Registers a hook of that name in {@code drain} that stops the container when nobody has come for a while: closing its
     * listener earlier would reset those who wait in its queue.
     */
    public GraceshutFilter stop(String name, Stop container) {
        gs.hook(Phase.DRAIN, name, ctx -> {
            awaitQuiet(ctx);
            container.stop();
        });
        return this;
    }

    /**
     * Blocks until every request has ended and nobody has come for 150 ms, or at most 1 s or a third of what the hook has.
     *
     * @throws InterruptedException at the hook's soft deadline
     */
    public void awaitQuiet(HookContext ctx) throws InterruptedException {
        long began = System.nanoTime();
        long patience = Math.min(PATIENCE_MS, ctx.remaining().map(Duration::toMillis).orElse(3 * PATIENCE_MS) / 3);
        while (!isQuiet(began) && since(began) < patience) {
            Thread.sleep(10);
        }
        while (active.get() > 0) {
            Thread.sleep(5);
        }
    }

    private boolean isQuiet(long began) {
        return active.get() == 0 && since(began) >= QUIET_MS && since(lastCame) >= QUIET_MS;
    }

    private static long since(long nanos) {
        return (System.nanoTime() - nanos) / 1_000_000;
    }

    @Override
    public void doFilter(ServletRequest request, ServletResponse response, FilterChain chain) throws IOException, ServletException {
        lastCame = System.nanoTime();
        if (work.isDraining() && response instanceof HttpServletResponse answer) {
            answer.setHeader("Connection", "close");
        }
        if (!work.tryEnter()) {
            if (response instanceof HttpServletResponse answer) {
                answer.setStatus(HttpServletResponse.SC_SERVICE_UNAVAILABLE);
            }
            return;
        }
        active.incrementAndGet();
        Unit unit = new Unit();
        try {
            chain.doFilter(request, response);
        } finally {
            if (request.isAsyncStarted()) {
                followAsync(request, unit);
            } else {
                unit.end();
            }
        }
    }

    private static void followAsync(ServletRequest request, Unit unit) {
        try {
            request.getAsyncContext().addListener(unit);
        } catch (IllegalStateException e) {
            unit.end(); // completed in this very moment
        }
    }

    /** One request; ends once. */
    private final class Unit implements AsyncListener {
        private final AtomicBoolean open = new AtomicBoolean(true);

        void end() {
            if (open.compareAndSet(true, false)) {
                active.decrementAndGet();
                work.leave();
            }
        }

        @Override
        public void onComplete(AsyncEvent event) {
            end();
        }

        @Override
        public void onError(AsyncEvent event) {
            // onComplete follows
        }

        @Override
        public void onTimeout(AsyncEvent event) {
            // onComplete follows
        }

        @Override
        public void onStartAsync(AsyncEvent event) {
            event.getAsyncContext().addListener(this);
        }
    }
}
