package dev.graceshut;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.IntConsumer;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogRecord;
import java.util.logging.Logger;

/**
 * The status that a thread gave to System.exit. The JDK tells it nobody but its own log, from Java 21 on: the logger
 * {@code java.lang.Runtime}, at level DEBUG, before any shutdown hook. Where that logger is not java.util.logging's, or before
 * Java 21, it is not to be had.
 */
final class ExitStatus {
    private static final Map<Thread, Integer> SEEN = new ConcurrentHashMap<>();
    private static final String TELLS = "java.lang.Runtime";
    private static final int SINCE = 21;
    /** Kept: java.util.logging holds loggers weakly. */
    private static Object kept;
    private static volatile IntConsumer begins = status -> {};

    private ExitStatus() {}

    /** The status, or null when it is not known. */
    static Integer of(Thread thread) {
        return SEEN.get(thread);
    }

    /** {@code exitBegins} is told on the thread that called System.exit, before it has begun: the JVM logs without its lock. */
    static synchronized void prepare(IntConsumer exitBegins) {
        begins = exitBegins;
        if (kept == null && Runtime.version().feature() >= SINCE && ModuleLayer.boot().findModule("java.logging").isPresent()) {
            kept = Listener.listen();
        }
    }

    /** In a class of its own, so that a runtime without java.logging never looks for it. */
    private static final class Listener extends Handler {
        static Object listen() {
            Logger logger = Logger.getLogger(TELLS);
            if (!logger.isLoggable(Level.FINE)) {
                // Nobody else asked for these lines: they are for us alone.
                logger.setLevel(Level.FINE);
                logger.setUseParentHandlers(false);
            }
            logger.addHandler(new Listener());
            return logger;
        }

        @Override
        public void publish(LogRecord line) {
            String text = line.getMessage();
            int at = text == null ? -1 : text.lastIndexOf(' ') + 1;
            int status;
            try {
                status = Integer.parseInt(text.substring(at));
            } catch (RuntimeException e) {
                return; // another line than the one of Runtime.exit
            }
            SEEN.put(Thread.currentThread(), status);
            begins.accept(status);
        }

        @Override
        public void flush() {}

        @Override
        public void close() {}
    }
}
