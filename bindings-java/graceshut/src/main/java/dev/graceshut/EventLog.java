package dev.graceshut;

import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;

/** Events as lines of the {@link System.Logger} {@code dev.graceshut}, which goes wherever the program's logging goes. */
final class EventLog {
    private EventLog() {}

    /** Made when first needed: making one starts the program's logging. */
    private static final class Holder {
        static final Logger LOGGER = System.getLogger("dev.graceshut");
    }

    /** Lines to be said: on a thread of their own, because making the logger may take longer than a whole shutdown. */
    private static final BlockingQueue<Runnable> LINES = new LinkedBlockingQueue<>();

    private static Thread thread;
    private static volatile boolean words;

    /** A hook says something that people are to read. */
    static void expectWords() {
        words = true;
    }

    static boolean hasWords() {
        return words;
    }

    /** Says it soon, and runs {@code after}. */
    static synchronized void say(Event e, Runnable after) {
        if (thread == null) {
            thread = new Thread(EventLog::run, "graceshut-log");
            thread.setDaemon(true);
            thread.start();
        }
        LINES.add(() -> {
            say(e);
            after.run();
        });
    }

    private static void run() {
        while (true) {
            try {
                LINES.take().run();
            } catch (InterruptedException e) {
                return;
            } catch (Throwable t) {
                // A logger that throws loses this line.
            }
        }
    }

    private static void say(Event e) {
        Level level = level(e);
        if (Holder.LOGGER.isLoggable(level)) {
            Holder.LOGGER.log(level, line(e));
        }
    }

    /** A hook's exception, with its stack, for who wants to know. */
    static void thrown(String phase, String hook, Throwable t) {
        try {
            Holder.LOGGER.log(Level.DEBUG, "hook " + phase + "/" + hook + " threw", t);
        } catch (Throwable loggerFailed) {
            // The report has its words.
        }
    }

    static void unexpected(String what, Throwable t) {
        try {
            Holder.LOGGER.log(Level.WARNING, what + " threw", t);
        } catch (Throwable loggerFailed) {
            // Nobody left to tell.
        }
    }

    private static Level level(Event e) {
        return switch (e.event()) {
            case "hook_cancel", "handler" -> Level.WARNING;
            case "hook_end" -> e.outcome().equals("ok") || e.message().equals("host_closed") ? Level.DEBUG : Level.WARNING;
            case "reload" -> e.outcome().equals("failed") ? Level.WARNING : Level.DEBUG;
            case "finished" -> e.outcome().equals("clean") ? Level.DEBUG : Level.WARNING;
            case "log" -> Level.INFO;
            default -> Level.DEBUG;
        };
    }

    private static String line(Event e) {
        String hook = e.phase() + "/" + e.hook();
        String tail = e.message().isEmpty() ? "" : ": " + e.message();
        return switch (e.event()) {
            case "trigger" -> "trigger " + (e.message().isEmpty() ? "without a word" : e.message()) + " (" + e.outcome() + ")";
            case "phase_start" -> "phase " + e.phase() + " begins, at most " + seconds(e);
            case "phase_end" -> "phase " + e.phase() + " " + (e.outcome().isEmpty() ? "ended" : e.outcome());
            case "hook_start" -> "hook " + hook + " begins, at most " + seconds(e);
            case "hook_cancel" -> "hook " + hook + " is cancelled";
            case "hook_end" -> "hook " + hook + " " + e.outcome() + tail;
            case "progress" -> "hook " + hook + ": " + e.value() + " of " + (e.total() == 0 ? "?" : e.total());
            case "log" -> (e.hook().isEmpty() ? "" : hook + ": ") + e.message();
            case "reload" -> "reload " + e.outcome() + tail;
            case "handler" -> e.message() + " (" + e.outcome() + ")";
            case "deadline" -> "deadline moved to " + seconds(e) + " after the trigger";
            case "finished" -> "shutdown " + e.outcome() + ", exit status " + e.value();
            default -> e.event() + tail;
        };
    }

    private static String seconds(Event e) {
        return String.format(java.util.Locale.ROOT, "%.3fs", Math.max(0, e.value()) / 1e6);
    }
}
