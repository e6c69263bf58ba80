package dev.graceshut.http;

import com.sun.net.httpserver.HttpServer;
import com.sun.net.httpserver.HttpsServer;
import dev.graceshut.HookContext;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.UUID;

/**
 * Exchanges of contexts that were made on the server itself. The server tells of no context, and takes no other executor once it
 * has started, so that they cannot be counted: the server's own {@code stop(seconds)} waits for them, by a count of its own.
 *
 * <p>That stop looks at its count only when an exchange ends; in an idle server it sleeps its whole time (Java 17). So an exchange
 * of ours ends beside it, again and again.
 */
final class Uncounted implements AutoCloseable {
    private static final String EXCHANGE = "sun.net.httpserver.ServerImpl$Exchange";
    private static final String HANDLER_FOLLOWS = EXCHANGE + "$LinkHandler";
    private static final String OURS = Uncounted.class.getPackageName() + ".";
    private static final long LOOK_MS = 50;
    private static final int CONNECT_MS = 500;

    private final HttpServer server;
    private final String path = "/graceshut-" + UUID.randomUUID();
    /** Null where none could be made. */
    private final Socket nudge;

    /** @param connects not once newcomers are turned away */
    Uncounted(HttpServer server, boolean connects) {
        this.server = server;
        this.nudge = !connects || server instanceof HttpsServer ? null : connect();
    }

    private Socket connect() {
        Socket made = new Socket();
        try {
            server.createContext(path, exchange -> {
                exchange.sendResponseHeaders(204, -1);
                exchange.close();
            });
            InetSocketAddress at = server.getAddress();
            InetAddress host = at.getAddress().isAnyLocalAddress() ? InetAddress.getLoopbackAddress() : at.getAddress();
            made.connect(new InetSocketAddress(host, at.getPort()), CONNECT_MS);
            return made;
        } catch (IOException | RuntimeException e) {
            quietly(made);
            return null;
        }
    }

    /** Whether threads are in handlers that no filter of ours counts. Virtual threads are in no list. */
    static boolean seen() {
        return Thread.getAllStackTraces().values().stream().anyMatch(Uncounted::isUncounted);
    }

    private static boolean isUncounted(StackTraceElement[] stack) {
        return Arrays.stream(stack).anyMatch(f -> f.getClassName().equals(HANDLER_FOLLOWS))
                && Arrays.stream(stack).noneMatch(f -> f.getClassName().startsWith(OURS));
    }

    /**
     * Closes the listener, and blocks until the exchanges in progress are over.
     *
     * @throws InterruptedException at the hook's soft deadline: some are not
     */
    void stop(HookContext ctx) throws InterruptedException {
        int seconds = (int) ctx.remaining().map(left -> left.toSeconds() + 1).orElse((long) Integer.MAX_VALUE / 1000).longValue();
        Thread stopping = new Thread(() -> server.stop(seconds), "graceshut-http-stop");
        stopping.setDaemon(true);
        stopping.start();
        int quiet = 0;
        while (stopping.isAlive()) {
            stopping.join(LOOK_MS);
            if (nudge != null) {
                endAnExchange();
            } else if (seen()) {
                quiet = 0;
            } else if (++quiet > 2) {
                return; // without a nudge the threads are all there is to see
            }
        }
    }

    private void endAnExchange() {
        try {
            byte[] request = ("GET " + path + " HTTP/1.1\r\nHost: graceshut\r\n\r\n").getBytes(StandardCharsets.ISO_8859_1);
            nudge.getOutputStream().write(request);
            var answers = nudge.getInputStream();
            answers.readNBytes(answers.available()); // read off, so that they do not fill the connection
        } catch (IOException e) {
            // the server has closed it: its stop is over, or about to be
        }
    }

    @Override
    public void close() {
        quietly(nudge);
    }

    private static void quietly(Socket socket) {
        try {
            if (socket != null) {
                socket.close();
            }
        } catch (IOException e) {
            // there is nothing left to be lost
        }
    }
}
