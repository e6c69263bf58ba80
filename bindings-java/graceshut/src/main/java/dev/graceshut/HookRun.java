package dev.graceshut;

import com.sun.jna.Pointer;
import dev.graceshut.internal.Json;
import dev.graceshut.internal.Lib;
import java.nio.channels.ClosedByInterruptException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;

/**
 * One hook that runs: its context, and the right to say once how it ended.
 *
 * <p>The library's pointers are valid until the completion is finished. Every use of them and the finishing itself are under
 * this object's monitor, so that a context that outlives its hook answers from here and touches nothing.
 */
final class HookRun implements HookContext {
    private static final Map<Long, HookRun> RUNS = new ConcurrentHashMap<>();
    private static final Map<Thread, HookRun> INSIDE = new ConcurrentHashMap<>();
    private static final Lib.CancelFn CANCEL = Lib.attached(HookRun::cancelled, "graceshut-cancel");

    private final Registration of;
    private final long id;
    private final Pointer completion;
    private final Pointer ctx;
    private boolean ended;
    private volatile boolean cancelled;
    /** The thread inside the hook's body. */
    private Thread thread;
    private Future<?> future;
    private final List<Runnable> onCancel = new ArrayList<>();

    private HookRun(Registration of, Pointer completion) {
        this.of = of;
        this.id = of.id();
        this.completion = completion;
        this.ctx = Lib.graceshut_completion_context(completion);
    }

    /** The hook that the calling thread is inside of; null outside. */
    static HookRun current() {
        return INSIDE.get(Thread.currentThread());
    }

    /** Threads inside of hooks, and which. */
    static Map<Thread, HookRun> inside() {
        return INSIDE;
    }

    /** Runs a hook to its end, or to where it completes later. Nothing is thrown: a native frame is below. */
    static void start(Registration of, Pointer completion) {
        HookRun run = new HookRun(of, completion);
        try {
            if (Lib.graceshut_ctx_begin(run.ctx) == 0) {
                run.end(Lib.CANCELLED, null); // its time has passed: the report has its outcome already
                return;
            }
            RUNS.put(run.id, run);
            Lib.graceshut_ctx_on_cancel(run.ctx, CANCEL, Lib.id(run.id), null);
            run.body();
        } catch (Throwable t) {
            run.failed(t);
        }
    }

    private void body() throws Exception {
        Thread me = Thread.currentThread();
        ClassLoader before = me.getContextClassLoader();
        me.setContextClassLoader(of.loader());
        INSIDE.put(me, this);
        synchronized (this) {
            thread = me;
        }
        try {
            if (of.hook() != null) {
                of.hook().run(this);
                end(Lib.OK, null);
            } else {
                follow(of.async().start(this));
            }
        } catch (Throwable t) {
            failed(t);
        } finally {
            synchronized (this) {
                thread = null;
            }
            INSIDE.remove(me);
            Thread.interrupted(); // the next hook on this thread begins without it
            me.setContextClassLoader(before);
        }
    }

    private void follow(CompletionStage<?> stage) {
        if (stage == null) {
            end(Lib.FAILED, "the hook returned null instead of a CompletionStage");
            return;
        }
        boolean late;
        synchronized (this) {
            future = cancellable(stage);
            late = cancelled;
        }
        stage.whenComplete((value, error) -> {
            if (error == null) {
                end(Lib.OK, null);
            } else {
                failed(error);
            }
        });
        if (late) {
            cancelFuture();
        }
    }

    private static Future<?> cancellable(CompletionStage<?> stage) {
        if (stage instanceof Future<?> future) {
            return future;
        }
        try {
            CompletableFuture<?> future = stage.toCompletableFuture();
            return future;
        } catch (UnsupportedOperationException e) {
            return null; // a stage that cannot be cancelled is left at its hard deadline
        }
    }

    private void failed(Throwable t) {
        Throwable cause = t;
        while ((cause instanceof CompletionException || cause instanceof ExecutionException) && cause.getCause() != null) {
            cause = cause.getCause();
        }
        if (isCancellation(cause) || cancelled && hasCancellation(cause)) {
            end(Lib.CANCELLED, null);
            return;
        }
        EventLog.thrown(phase(), name(), cause);
        end(Lib.FAILED, words(cause));
    }

    private static boolean isCancellation(Throwable t) {
        return t instanceof InterruptedException || t instanceof CancellationException || t instanceof ClosedByInterruptException;
    }

    /** Wrapped in the exceptions of others, as deep as anybody wraps. */
    private static boolean hasCancellation(Throwable t) {
        for (int depth = 0; t != null && depth < 8; depth++, t = t.getCause()) {
            if (isCancellation(t)) {
                return true;
            }
        }
        return false;
    }

    static String words(Throwable t) {
        try {
            return t.toString().replace("\0", "");
        } catch (RuntimeException e) {
            return t.getClass().getName(); // its own message cannot be made
        }
    }

    private void end(int code, String message) {
        synchronized (this) {
            if (ended) {
                return;
            }
            ended = true;
            Lib.graceshut_completion_finish(completion, code, message);
        }
        RUNS.remove(id);
    }

    /** The hook called System.exit and does not come back; null: with a status nobody can see. */
    void exited(Integer status) {
        if (status == null) {
            end(Lib.OK, null);
            return;
        }
        synchronized (this) {
            if (ended) {
                return;
            }
            ended = true;
            Lib.graceshut_ctx_propose_exit(Lib.graceshut_completion_context(completion), status);
            Lib.graceshut_completion_finish(completion, 0, null);
        }
        RUNS.remove(id);
    }

    private static void cancelled(Pointer id) {
        try {
            HookRun run = RUNS.get(Pointer.nativeValue(id));
            if (run != null) {
                run.cancel();
            }
        } catch (Throwable t) {
            EventLog.unexpected("a callback of onCancel", t);
        }
    }

    private void cancel() {
        List<Runnable> callbacks;
        synchronized (this) {
            if (ended) {
                return;
            }
            cancelled = true;
            if (thread != null) {
                thread.interrupt();
            }
            callbacks = List.copyOf(onCancel);
            onCancel.clear();
        }
        cancelFuture();
        callbacks.forEach(HookRun::call);
    }

    /** Outside the monitor: completing a future runs whatever hangs on it. */
    private void cancelFuture() {
        Future<?> f;
        synchronized (this) {
            f = future;
        }
        if (f != null) {
            try {
                f.cancel(true);
            } catch (RuntimeException e) {
                EventLog.unexpected("cancelling the future of " + phase() + "/" + name(), e);
            }
        }
    }

    private static void call(Runnable f) {
        try {
            f.run();
        } catch (Throwable t) {
            EventLog.unexpected("a callback of onCancel", t);
        }
    }

    @Override
    public String name() {
        return of.name();
    }

    @Override
    public String phase() {
        return of.phase();
    }

    @Override
    public synchronized Reason reason() {
        if (ended) {
            return new Reason("", 0, "");
        }
        return Reason.of(Lib.take(Lib.graceshut_ctx_reason(ctx)), Lib.graceshut_ctx_signal(ctx));
    }

    @Override
    public synchronized Optional<Duration> remaining() {
        long us = ended ? 0 : Lib.graceshut_ctx_remaining_us(ctx);
        return us < 0 ? Optional.empty() : Optional.of(Micros.from(us));
    }

    @Override
    public Optional<Long> deadline() {
        return remaining().map(left -> System.nanoTime() + left.toNanos());
    }

    @Override
    public synchronized boolean isCancelled() {
        return cancelled || !ended && Lib.graceshut_ctx_cancelled(ctx) != 0;
    }

    @Override
    public synchronized Duration extend(Duration more) {
        long us = Micros.of(more, "more");
        if (us < 0) {
            throw new GraceshutException(ErrorKind.BAD_TIME, "more is " + more + ": a time cannot be negative");
        }
        return Micros.from(ended ? 0 : Lib.graceshut_ctx_extend(ctx, us));
    }

    @Override
    public List<String> abandoned() {
        String json;
        synchronized (this) {
            json = ended ? "[]" : Lib.take(Lib.graceshut_ctx_abandoned(ctx));
        }
        return Json.read(json) instanceof List<?> list ? list.stream().map(Object::toString).toList() : List.of();
    }

    @Override
    public synchronized void log(String message) {
        GraceshutException.text(message, "message");
        if (!ended) {
            EventLog.expectWords();
            GraceshutException.check(Lib.graceshut_ctx_log(ctx, message));
        }
    }

    @Override
    public synchronized void progress(long done, long total) {
        if (done < 0 || total < 0) {
            throw new GraceshutException(ErrorKind.BAD_VALUE, "progress " + done + " of " + total + ": neither can be negative");
        }
        if (!ended) {
            GraceshutException.check(Lib.graceshut_ctx_progress(ctx, done, total));
        }
    }

    @Override
    public void onCancel(Runnable f) {
        if (f == null) {
            throw new GraceshutException(ErrorKind.NULL, "f is null");
        }
        synchronized (this) {
            if (ended) {
                return;
            }
            if (!cancelled) {
                onCancel.add(f);
                return;
            }
        }
        new Thread(() -> call(f), "graceshut-cancel").start();
    }
}
