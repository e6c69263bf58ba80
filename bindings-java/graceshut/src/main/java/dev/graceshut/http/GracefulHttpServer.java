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
    private final InFlight work;
    private final HttpServer server;
    private final AtomicInteger active = new AtomicInteger();
    private final AtomicBoolean came = new AtomicBoolean();
    private volatile Streams streams = new Streams(null);

    private GracefulHttpServer(Graceshut gs, HttpServer server) {
        this.work = gs.inFlight();
        this.server = server;
    }

    /**
     * Takes the stopping of {@code server} over: registers a hook of that name in {@code drain}, and says that this process
     * accepts connections. Contexts made by {@link #createContext} are counted; starting the server stays yours.
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
        HttpContext context = server.createContext(path, handler);
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
        Listeners.awaitIdle(ctx, this::isBusy);
        Listeners.awaitClosable(ctx, () -> came.getAndSet(false), this::isBusy, List.of(server.getAddress().getPort()));
        while (isBusy()) {
            Thread.sleep(5); // until the soft deadline interrupts: what is left then is cut
        }
        server.stop(0);
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
