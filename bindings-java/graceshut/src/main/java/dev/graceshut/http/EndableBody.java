package dev.graceshut.http;

import com.sun.net.httpserver.HttpExchange;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.ReentrantLock;

/**
 * The body of one response of the JDK's server, and its unit of work. Where it is a stream another thread can end it between two
 * writes of its handler; that handler learns of it at its next write.
 */
final class EndableBody extends FilterOutputStream {
    /** For a client that takes nothing more: its handler stands in a write. */
    private static final long WRITE_MS = 100;

    private final HttpExchange exchange;
    private final Runnable onLeave;
    private final AtomicBoolean in = new AtomicBoolean(true);
    private final ReentrantLock lock = new ReentrantLock();
    /** Not null: the handler said that this is a stream. */
    private Runnable told;
    private boolean draining;
    private boolean ended;
    private final Streams.Stream stream = new Streams.Stream() {
        @Override
        protected void tell() {
            EndableBody.this.tell();
        }

        @Override
        protected boolean end() {
            return EndableBody.this.end();
        }
    };

    EndableBody(HttpExchange exchange, Runnable onLeave) {
        super(exchange.getResponseBody());
        this.exchange = exchange;
        this.onLeave = onLeave;
    }

    Streams.Stream stream() {
        return stream;
    }

    /** The handler says that this is a stream. */
    void named(Runnable f) {
        boolean late;
        synchronized (stream) {
            told = f;
            late = draining;
        }
        if (late) {
            f.run();
        }
    }

    private void tell() {
        Runnable f;
        synchronized (stream) {
            draining = true;
            f = told;
        }
        if (f != null) {
            f.run();
        }
    }

    /** The unit of work ends: the handler has returned, or the stream was ended. */
    void left() {
        if (in.compareAndSet(true, false)) {
            onLeave.run();
        }
    }

    private boolean named() {
        synchronized (stream) {
            return told != null;
        }
    }

    private boolean isStream() {
        return named() || Streams.isEndless(exchange.getResponseHeaders().getFirst("Content-Type"));
    }

    private boolean end() {
        if (!isStream()) {
            return false;
        }
        try {
            if (!lock.tryLock(WRITE_MS, TimeUnit.MILLISECONDS)) {
                return false;
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
        try {
            ended = true;
            if (exchange.getResponseCode() < 0) {
                exchange.getResponseHeaders().set("Connection", "close");
                exchange.sendResponseHeaders(503, -1); // a long poll that nothing came for
            }
            out.close();
        } catch (IOException e) {
            // the client is gone
        } finally {
            lock.unlock();
        }
        left();
        return true;
    }

    private void check() throws IOException {
        if (ended) {
            throw new IOException("the stream was ended: the process stops");
        }
    }

    @Override
    public void write(int b) throws IOException {
        write(new byte[] {(byte) b}, 0, 1);
    }

    @Override
    public void write(byte[] bytes, int from, int count) throws IOException {
        lock.lock();
        try {
            check();
            out.write(bytes, from, count);
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void flush() throws IOException {
        lock.lock();
        try {
            check();
            out.flush();
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void close() throws IOException {
        lock.lock();
        try {
            if (!ended) {
                out.close();
            }
        } finally {
            lock.unlock();
        }
    }
}
