package dev.graceshut;

import java.util.concurrent.CompletionStage;

/** A cleanup action that begins its work and completes it later. */
@FunctionalInterface
public interface AsyncHook {
    /**
     * Begins it, on a daemon thread; the hook ends with the stage. At the soft deadline the stage's future is cancelled. The
     * context is valid until then.
     *
     * @throws Exception the hook has then failed
     */
    CompletionStage<?> start(HookContext ctx) throws Exception;
}
