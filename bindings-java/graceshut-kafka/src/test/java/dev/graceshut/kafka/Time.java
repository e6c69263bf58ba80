package dev.graceshut.kafka;

import dev.graceshut.HookContext;
import dev.graceshut.Reason;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** A hook's budget, outside of a shutdown: its thread is interrupted at four fifths of it, as the runtime does. */
final class Time implements HookContext {
    interface Body {
        void run(HookContext ctx) throws Exception;
    }

    private final long deadline;

    private Time(Duration budget) {
        deadline = System.nanoTime() + budget.toNanos();
    }

    /** Null, or what the hook threw. */
    static Throwable run(Duration budget, Body hook) throws InterruptedException {
        CompletableFuture<Throwable> ended = new CompletableFuture<>();
        Thread thread = new Thread(() -> {
            try {
                hook.run(new Time(budget));
                ended.complete(null);
            } catch (Throwable t) {
                ended.complete(t);
            }
        });
        thread.start();
        thread.join(budget.toMillis() * 8 / 10);
        thread.interrupt();
        try {
            return ended.get(10, TimeUnit.SECONDS);
        } catch (java.util.concurrent.ExecutionException | java.util.concurrent.TimeoutException e) {
            return new AssertionError("a hook does not end at its soft deadline", e);
        }
    }

    @Override
    public Optional<Duration> remaining() {
        return Optional.of(Duration.ofNanos(Math.max(0, deadline - System.nanoTime())));
    }

    @Override
    public Optional<Long> deadline() {
        return Optional.of(deadline);
    }

    @Override
    public boolean isCancelled() {
        return Thread.currentThread().isInterrupted();
    }

    @Override
    public String name() {
        return "kafka";
    }

    @Override
    public String phase() {
        return "";
    }

    @Override
    public Reason reason() {
        return new Reason("", 0, "");
    }

    @Override
    public Duration extend(Duration more) {
        return Duration.ZERO;
    }

    @Override
    public List<String> abandoned() {
        return List.of();
    }

    @Override
    public void log(String message) {}

    @Override
    public void progress(long done, long total) {}

    @Override
    public void onCancel(Runnable f) {}
}
