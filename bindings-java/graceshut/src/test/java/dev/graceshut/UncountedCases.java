package dev.graceshut;

import com.sun.net.httpserver.HttpContext;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import dev.graceshut.http.GracefulHttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.concurrent.Executor;
import java.util.concurrent.Executors;

/** Servers whose contexts were made without {@code GracefulHttpServer}, for {@link UncountedTest}. */
final class UncountedCases {
    private UncountedCases() {}

    /** After TERM main stays where it is, as in most servers: in no wait of graceshut. */
    static void run(String what, String grace, long slowMs) throws Exception {
        Graceshut gs = Child.withHook("{\"grace\": \"" + grace + "\"}");
        HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 64);
        // Beside contexts that are counted the others are seen by their threads.
        server.setExecutor(what.endsWith("mixed") ? Executors.newCachedThreadPool() : executor());
        GracefulHttpServer adopted = null;
        if (what.startsWith("before")) {
            adopted = GracefulHttpServer.adopt(gs, server, "http");
        }
        HttpContext context = server.createContext("/", exchange -> answer(exchange, slowMs));
        if (!what.endsWith("never starts")) {
            server.start();
        }
        if (adopted == null) {
            adopted = GracefulHttpServer.adopt(gs, server, "http");
        }
        if (what.endsWith("mixed")) {
            adopted.createContext("/counted", exchange -> answer(exchange, 0));
        }
        if (what.endsWith("count")) {
            adopted.count(context);
        }
        if (what.endsWith("own stop")) {
            Runtime.getRuntime().addShutdownHook(new Thread(() -> server.stop(3)));
        }
        Child.say("ready");
        Child.say(Integer.toString(server.getAddress().getPort()));
        if (what.endsWith("awaits")) {
            gs.await(); // and returns from main
        }
    }

    /** Where the JVM has them: one virtual thread for each exchange, which no list of threads shows. */
    private static Executor executor() {
        try {
            return (Executor) Executors.class.getMethod("newVirtualThreadPerTaskExecutor").invoke(null);
        } catch (ReflectiveOperationException e) {
            return Executors.newCachedThreadPool();
        }
    }

    private static void answer(HttpExchange exchange, long slowMs) throws IOException {
        if (exchange.getRequestURI().getPath().equals("/slow")) {
            Child.say("in slow");
            Child.sleepOn(slowMs);
        }
        byte[] body = "ok".getBytes();
        exchange.sendResponseHeaders(200, body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
    }
}
