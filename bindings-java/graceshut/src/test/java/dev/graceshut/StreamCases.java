package dev.graceshut;

import com.sun.net.httpserver.HttpServer;
import dev.graceshut.http.GracefulHttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;

/** The JDK's server with responses that have no end, for {@link HttpStreamsTest}. */
final class StreamCases {
    private StreamCases() {}

    static void run() throws Exception {
        Graceshut gs = Child.withHook("{}");
        HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 64);
        server.setExecutor(Executors.newCachedThreadPool());
        GracefulHttpServer adopted = GracefulHttpServer.adopt(gs, server, "http").endStreamsAfter(Duration.ofMillis(500));
        adopted.createContext("/events", exchange -> {
            exchange.getResponseHeaders().set("Content-Type", "text/event-stream");
            exchange.sendResponseHeaders(200, 0);
            try (var body = exchange.getResponseBody()) {
                while (true) {
                    body.write("data: one\n\n".getBytes());
                    body.flush();
                    Child.sleepOn(50);
                }
            } catch (IOException e) {
                Child.say("ended");
            }
        });
        adopted.createContext("/poll", exchange -> {
            GracefulHttpServer.stream(exchange, () -> Child.say("told"));
            Child.say("polled");
            try {
                new CountDownLatch(1).await();
            } catch (InterruptedException e) {
                // nothing interrupts it
            }
        });
        server.start();
        Child.say("ready");
        Child.say(Integer.toString(server.getAddress().getPort()));
        System.exit(gs.await());
    }
}
