import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import dev.graceshut.Graceshut;
import dev.graceshut.HookContext;
import dev.graceshut.Options;
import dev.graceshut.Phase;
import dev.graceshut.http.GracefulHttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

/**
 * The demo service in Java: the JDK's own HTTP server, and a shutdown that loses nothing.
 *
 * <p>GET and POST /work take about 20 ms; GET /readyz turns 503 with the signal, while /work is served on; from `drain` on every
 * answer says `Connection: close` and new work gets 503. Try it:
 *
 * <pre>
 * graceshut verify --ready http://127.0.0.1:8080/readyz --load http://127.0.0.1:8080/work -- java -cp graceshut.jar:jna.jar Service.java
 * </pre>
 */
public class Service {
    public static void main(String[] args) throws Exception {
        System.setProperty("sun.net.httpserver.nodelay", "true"); // an answer that does not fill a packet leaves at once
        System.setProperty("sun.net.httpserver.maxIdleConnections", "1000");
        var gs = Graceshut.install(Options.builder().grace(Duration.ofSeconds(10)).build());

        int port = Integer.parseInt(System.getenv().getOrDefault("PORT", "8080"));
        var server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 256);
        server.setExecutor(Executors.newCachedThreadPool());
        // Serves through announce, answers 503 from drain on, and closes the listener when no client has come for a while.
        var http = GracefulHttpServer.adopt(gs, server, "server");
        http.createReadyContext("/readyz");
        http.createContext("/work", Service::work);

        gs.hook(Phase.ANNOUNCE, "deregister", Service::trace);
        gs.hookAsync(Phase.FLUSH, "buffers", ctx -> CompletableFuture.runAsync(
                () -> trace(ctx), CompletableFuture.delayedExecutor(10, TimeUnit.MILLISECONDS)));
        gs.hook(Phase.FLUSH, "offsets", Service::trace);
        gs.hook(Phase.CLOSE, "pool", Service::trace);
        gs.hook(Phase.CLOSE, "files", Service::trace);
        gs.hook(Phase.FINAL, "telemetry", ctx -> System.out.println("trace final/telemetry after " + ctx.reason()));

        server.start();
        System.out.println("ready");
        System.exit(gs.await()); // the server's threads are no daemons
    }

    private static void work(HttpExchange exchange) throws IOException {
        try (exchange) {
            exchange.getRequestBody().readAllBytes();
            sleep(20);
            byte[] body = "done\n".getBytes(StandardCharsets.UTF_8);
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
        }
    }

    private static void sleep(long ms) throws IOException {
        try {
            Thread.sleep(ms);
        } catch (InterruptedException e) {
            throw new IOException(e);
        }
    }

    private static void trace(HookContext ctx) {
        System.out.println("trace " + ctx.phase() + "/" + ctx.name());
    }
}
