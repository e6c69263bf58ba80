package dev.graceshut.http;

import com.sun.net.httpserver.Filter;
import com.sun.net.httpserver.HttpContext;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpHandler;
import com.sun.net.httpserver.HttpServer;
import dev.graceshut.ErrorKind;
import dev.graceshut.Graceshut;
import dev.graceshut.GraceshutException;
import dev.graceshut.HookContext;
import dev.graceshut.InFlight;
import dev.graceshut.Phase;
import dev.graceshut.internal.Warnings;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * The JDK's own HTTP server, stopped without losing a request. It serves through {@code announce}; from {@code drain} on new
 * work is answered with 503 and {@code Connection: close}, and the listener is closed only when that cuts nobody off
 * ({@link Listeners}).
 *
 * <p>A unit of work is one exchange, from its filter to the return of its handler: a handler that answers later, on another
 * thread, enters a part of its own.
 */
public final class GracefulHttpServer {
    private static final long LOOK_MS = 5;

    private final InFlight work;
    private final HttpServer server;
    private final AtomicInteger active = new AtomicInteger();
    private final AtomicBoolean came = new AtomicBoolean();
    /** False: every context was made on the server itself. */
    private volatile boolean counts;
    private volatile Streams streams = new Streams(null);

    private GracefulHttpServer(Graceshut gs, HttpServer server) {
        this.work = gs.inFlight();
        this.server = server;
    }

    /**
     * Takes the stopping of {@code server} over: registers a hook of that name in {@code drain}, and says that this process
     * accepts connections. Starting the server stays yours.
     *
     * <p><b>Make the contexts with {@link #createContext} of what this returns</b>, or pass those that exist to {@link #count}. The
     * others go on serving in {@code drain}; what is in progress when the listener is closed is waited for, but a client that keeps
     * its connection loses its next request, as with {@link HttpServer#stop}. The report warns of that. Beside contexts that are counted,
     * an exchange of the others that a virtual thread handles is not seen, and is cut.
     */
    public static GracefulHttpServer adopt(Graceshut gs, HttpServer server, String name) {
        GracefulHttpServer adopted = new GracefulHttpServer(gs, server);
        gs.hook(Phase.DRAIN, name, adopted::drain);
        gs.setServing(true);
        return adopted;
    }

    /**
     * Ends responses without an end so long after the start of {@code drain}, in order and clean: those of the types
     * {@code text/event-stream} and {@code multipart/x-mixed-replace}, and those named by {@link #stream}. Their handler's next write throws an IOException then. Without
     * this they take the whole of {@code drain}. Say it before the server starts.
     */
    public GracefulHttpServer endStreamsAfter(Duration time) {
        streams = new Streams(time);
        return this;
    }

    /**
     * Says, in a handler, that this response has no end of its own, as a long poll: {@code told} is called at the start of
     * {@code drain}, at once where that has begun, on another thread.
     *
     * @throws GraceshutException bad_value for an exchange of a context that is not counted
     */
    public static void stream(HttpExchange exchange, Runnable told) {
        if (told == null) {
            throw new GraceshutException(ErrorKind.NULL, "told is null");
        }
        if (!(exchange.getResponseBody() instanceof EndableBody body)) {
            throw new GraceshutException(ErrorKind.BAD_VALUE,
                    "this exchange is not of a context made by GracefulHttpServer.createContext");
        }
        body.named(told);
    }

    /** As {@link HttpServer#createContext(String, HttpHandler)}, with every exchange counted, or refused with 503 while draining. */
    public HttpContext createContext(String path, HttpHandler handler) {
        return count(server.createContext(path, handler));
    }

    /**
     * The same for a context that was made on the server itself. Say it before requests come: a context's filters are no
     * concurrent list.
     */
    public HttpContext count(HttpContext context) {
        counts = true;
        context.getFilters().add(new Counted());
        return context;
    }

    /** A context for probes: 200 while the process runs, 503 from the trigger on. */
    public HttpContext createReadyContext(String path) {
        return server.createContext(path, exchange -> answer(exchange, work.isStopping() ? 503 : 200));
    }

    private void answer(HttpExchange exchange, int status) throws IOException {
        try (exchange) {
            exchange.getRequestBody().readAllBytes();
            closeIfDraining(exchange);
            exchange.sendResponseHeaders(status, -1);
        }
    }

    private void closeIfDraining(HttpExchange exchange) {
        if (work.isDraining()) {
            exchange.getResponseHeaders().set("Connection", "close");
        }
    }

    private void drain(HookContext ctx) throws InterruptedException {
        streams.drain();
        try (Uncounted others = others(ctx, true)) {
            awaitCounted(ctx);
            if (others != null) {
                others.stop(ctx);
                return;
            }
        }
        try (Uncounted others = others(ctx, false)) {
            if (others != null) {
                others.stop(ctx);
            } else {
                server.stop(0);
            }
        }
    }

    /** Null where every exchange is counted, as far as can be seen. */
    private Uncounted others(HookContext ctx, boolean connects) throws InterruptedException {
        if (!mayHaveOthers()) {
            return null;
        }
        Warnings.say("hook " + ctx.phase() + "/" + ctx.name() + ": requests are not counted in contexts that were made on the HttpServer"
                + " itself: use createContext of what GracefulHttpServer.adopt returned");
        return new Uncounted(server, connects);
    }

    private boolean mayHaveOthers() throws InterruptedException {
        if (!isStarted()) {
            return false;
        }
        if (!counts) {
            return true;
        }
        if (!Uncounted.seen()) {
            return false;
        }
        Thread.sleep(LOOK_MS); // one look may meet a thread on its way into our filter
        return Uncounted.seen();
    }

    /** A server that has started takes no other executor; nothing else tells. */
    private boolean isStarted() {
        try {
            server.setExecutor(server.getExecutor());
            return false;
        } catch (IllegalStateException e) {
            return true;
        }
    }

    private void awaitCounted(HookContext ctx) throws InterruptedException {
        Listeners.awaitIdle(ctx, this::isBusy);
        Listeners.awaitClosable(ctx, () -> came.getAndSet(false), this::isBusy, List.of(server.getAddress().getPort()));
        while (isBusy()) {
            Thread.sleep(LOOK_MS); // until the soft deadline interrupts: what is left then is cut
        }
    }

    private boolean isBusy() {
        streams.endDue();
        return active.get() > 0;
    }

    private final class Counted extends Filter {
        @Override
        public void doFilter(HttpExchange exchange, Chain chain) throws IOException {
            came.set(true);
            active.incrementAndGet();
            if (!work.tryEnter()) {
                try {
                    answer(exchange, 503);
                } finally {
                    active.decrementAndGet();
                }
                return;
            }
            EndableBody body = new EndableBody(exchange, this::left);
            streams.add(body.stream());
            try {
                closeIfDraining(exchange);
                exchange.setStreams(null, body);
                chain.doFilter(exchange);
            } finally {
                streams.remove(body.stream());
                body.left();
            }
        }

        private void left() {
            active.decrementAndGet();
            work.leave();
        }

        @Override
        public String description() {
            return "counts exchanges in flight";
        }
    }
}
