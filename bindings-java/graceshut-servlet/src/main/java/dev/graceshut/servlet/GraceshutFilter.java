package dev.graceshut.servlet;

import dev.graceshut.ErrorKind;
import dev.graceshut.Graceshut;
import dev.graceshut.GraceshutException;
import dev.graceshut.HookContext;
import dev.graceshut.InFlight;
import dev.graceshut.Phase;
import dev.graceshut.http.Listeners;
import dev.graceshut.http.Streams;
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
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
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
    /** The request attribute that holds its unit. */
    private static final String UNIT = GraceshutFilter.class.getName() + ".unit";

    private final Graceshut gs;
    private final InFlight work;
    private final AtomicInteger active = new AtomicInteger();
    private final AtomicBoolean came = new AtomicBoolean();
    /** Where requests came in: those the container listens on. */
    private final Set<Integer> ports = ConcurrentHashMap.newKeySet();
    private volatile Streams streams = new Streams(null);

    /** For the work in flight of {@code gs}; says that this process accepts connections. */
    public GraceshutFilter(Graceshut gs) {
        this.gs = gs;
        this.work = gs.inFlight();
        gs.setServing(true);
    }

    /**
     * Ends responses without an end so long after the start of {@code drain}, in order and clean: asynchronous ones of the types
     * {@code text/event-stream} and {@code multipart/x-mixed-replace}, and those named by {@link #stream}. Without this they take the whole of {@code drain}. Say it
     * before the first request.
     */
    public GraceshutFilter endStreamsAfter(Duration time) {
        streams = new Streams(time);
        return this;
    }

    /**
     * Says that this request's response has no end of its own, as a long poll: {@code told} is called at the start of {@code drain},
     * at once where that has begun, on another thread. An asynchronous one is ended in its time, with 503 where nothing was
     * answered yet; one that holds its thread has to end by itself.
     *
     * @throws GraceshutException bad_value for a request that the filter has not seen, null
     */
    public static void stream(ServletRequest request, Runnable told) {
        if (told == null) {
            throw new GraceshutException(ErrorKind.NULL, "told is null");
        }
        if (!(request.getAttribute(UNIT) instanceof Unit unit)) {
            throw new GraceshutException(ErrorKind.BAD_VALUE, "this request did not pass the filter; map it first, to /*");
        }
        unit.named(told);
    }

    /** Stops a container: closes its listener and what is idle. */
    @FunctionalInterface
    public interface Stop {
        /** @throws Exception the hook has then failed */
        void stop() throws Exception;
    }

    /**
     * Registers a hook of that name in {@code drain} that stops the container when its listeners can be closed without cutting
     * anybody off ({@link Listeners}).
     */
    public GraceshutFilter stop(String name, Stop container) {
        gs.hook(Phase.DRAIN, name, ctx -> {
            awaitQuiet(ctx);
            container.stop();
        });
        return this;
    }

    /**
     * Blocks until the container's listeners can be closed ({@link Listeners}) and every request has ended.
     *
     * @throws InterruptedException at the hook's soft deadline
     */
    public void awaitQuiet(HookContext ctx) throws InterruptedException {
        streams.drain();
        Listeners.awaitIdle(ctx, this::isBusy);
        Listeners.awaitClosable(ctx, () -> came.getAndSet(false), this::isBusy, ports);
        while (isBusy()) {
            Thread.sleep(5);
        }
    }

    private boolean isBusy() {
        streams.endDue();
        return active.get() > 0;
    }

    @Override
    public void doFilter(ServletRequest request, ServletResponse response, FilterChain chain) throws IOException, ServletException {
        came.set(true);
        ports.add(request.getLocalPort());
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
        Unit unit = new Unit(request);
        request.setAttribute(UNIT, unit);
        streams.add(unit.stream);
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
        private final UnitStream stream;

        Unit(ServletRequest request) {
            stream = new UnitStream(request);
        }

        void named(Runnable told) {
            stream.named(told);
        }

        void end() {
            if (open.compareAndSet(true, false)) {
                streams.remove(stream);
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
