package dev.graceshut.http;

import dev.graceshut.ErrorKind;
import dev.graceshut.Graceshut;
import dev.graceshut.GraceshutException;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Responses without an end of their own (server-sent events, long polls), for adapters: each is told at the start of
 * {@code drain}, and ended in order a stated time later (spec 9.6). Without a time they are told and never ended.
 */
public final class Streams {
    private final Duration after;
    private final Set<Stream> open = ConcurrentHashMap.newKeySet();
    private volatile long drainBegan;
    private volatile boolean draining;

    /**
     * @param after from the start of {@code drain} on; null: never
     * @throws GraceshutException bad_time for a negative one
     */
    public Streams(Duration after) {
        if (after != null && after.isNegative()) {
            throw new GraceshutException(ErrorKind.BAD_TIME, "endStreamsAfter is " + after + ": a time cannot be negative");
        }
        this.after = after;
    }

    /** One such response. */
    public abstract static class Stream {
        private boolean told;
        private boolean ended;

        /** One that is not told yet. */
        protected Stream() {}

        /** The process stops: say goodbye and end. Called once at most; what it throws is logged. */
        protected void tell() {}

        /** Ends it in order: the last chunk, no more after it. False: not yet a stream, ask again. */
        protected abstract boolean end();
    }

    /** Whether a response of that content type has no end of its own. */
    public static boolean isEndless(String contentType) {
        return contentType != null && (contentType.startsWith("text/event-stream") || contentType.startsWith("multipart/x-mixed-replace"));
    }

    /** A response that is to be told and ended; it may turn out to be an ordinary one. */
    public void add(Stream stream) {
        open.add(stream);
        if (draining) {
            tell(stream);
        }
    }

    /** It has ended by itself. */
    public void remove(Stream stream) {
        open.remove(stream);
    }

    /** At the start of {@code drain}. */
    public void drain() {
        drainBegan = System.nanoTime();
        draining = true;
        open.forEach(Streams::tell);
    }

    /** Ends those whose time has come; asked again and again during {@code drain}. */
    public void endDue() {
        if (after != null && draining && System.nanoTime() - drainBegan >= after.toNanos()) {
            open.forEach(this::end);
        }
    }

    private static void tell(Stream stream) {
        synchronized (stream) {
            if (stream.told) {
                return;
            }
            stream.told = true;
        }
        try {
            stream.tell();
        } catch (RuntimeException e) {
            log("a stream that was told of the shutdown", e);
        }
    }

    private void end(Stream stream) {
        synchronized (stream) {
            if (stream.ended) {
                return;
            }
            try {
                stream.ended = stream.end();
            } catch (RuntimeException e) {
                stream.ended = true;
                log("a stream at its end", e);
            }
            if (stream.ended) {
                open.remove(stream);
            }
        }
    }

    private static void log(String what, RuntimeException e) {
        System.getLogger(Graceshut.class.getPackageName()).log(System.Logger.Level.WARNING, what, e);
    }
}
