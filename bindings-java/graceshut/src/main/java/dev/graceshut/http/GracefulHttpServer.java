package dev.graceshut.http;

import com.sun.net.httpserver.Filter;
import com.sun.net.httpserver.HttpContext;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpHandler;
import com.sun.net.httpserver.HttpServer;
import dev.graceshut.Graceshut;
import dev.graceshut.HookContext;
import dev.graceshut.InFlight;
import dev.graceshut.Phase;
import java.io.IOException;
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
        Listeners.awaitClosable(
                ctx, () -> came.getAndSet(false), () -> active.get() > 0, List.of(server.getAddress().getPort()));
        while (active.get() > 0) {
            Thread.sleep(5); // until the soft deadline interrupts: what is left then is cut
        }
        server.stop(0);
    }

    private final class Counted extends Filter {
        @Override
        public void doFilter(HttpExchange exchange, Chain chain) throws IOException {
            came.set(true);
            active.incrementAndGet();
            try {
                if (!work.tryEnter()) {
                    answer(exchange, 503);
                    return;
                }
                try {
                    closeIfDraining(exchange);
                    chain.doFilter(exchange);
                } finally {
                    work.leave();
                }
            } finally {
                active.decrementAndGet();
            }
        }

        @Override
        public String description() {
            return "counts exchanges in flight";
        }
    }
}
