package dev.graceshut;

/** A cleanup action that returns when it is done. */
@FunctionalInterface
public interface Hook {
    /**
     * Does it, on a daemon thread of its own; may block. At the soft deadline the thread is interrupted.
     *
     * @throws Exception the hook has then failed, with these words; {@link InterruptedException} and
     *     {@link java.util.concurrent.CancellationException} say that it was cancelled
     */
    void run(HookContext ctx) throws Exception;
}
