package dev.graceshut;

/** Whether main ended by an uncaught exception, which is the reason for the end of the program then (spec 2.3). */
final class MainThread {
    /** The number of the thread that runs main, in every JVM. */
    private static final long ID = 1;

    private static volatile String uncaught;

    private MainThread() {}

    /** The exception in words; null without one. */
    static String uncaught() {
        return uncaught;
    }

    /** Puts a handler on main alone, that goes on to where exceptions of main would have gone. */
    @SuppressWarnings("deprecation") // threadId() is not there before Java 19
    static void watch() {
        for (Thread thread : Thread.getAllStackTraces().keySet()) {
            if (thread.getId() == ID && thread.isAlive() && !(thread.getUncaughtExceptionHandler() instanceof Watch)) {
                thread.setUncaughtExceptionHandler(new Watch(thread.getUncaughtExceptionHandler()));
            }
        }
    }

    /** @param before a handler that was set on main, or its thread group */
    private record Watch(Thread.UncaughtExceptionHandler before) implements Thread.UncaughtExceptionHandler {
        @Override
        public void uncaughtException(Thread thread, Throwable error) {
            uncaught = HookRun.words(error);
            before.uncaughtException(thread, error);
        }
    }
}
