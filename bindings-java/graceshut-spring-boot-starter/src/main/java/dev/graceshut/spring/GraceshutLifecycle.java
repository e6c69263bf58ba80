package dev.graceshut.spring;

import dev.graceshut.Graceshut;
import dev.graceshut.HookContext;
import dev.graceshut.Phase;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.springframework.boot.availability.AvailabilityChangeEvent;
import org.springframework.boot.availability.ReadinessState;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.SmartLifecycle;
import org.springframework.context.support.AbstractApplicationContext;
import org.springframework.context.support.DefaultLifecycleProcessor;

/**
 * The application context in the plan: readiness in {@code announce}, the web server's last requests in {@code drain}, closing the
 * context in {@code close}, each of Spring's own phases bounded by what the hook has left.
 *
 * <p>Its own Spring phase lies above the web server's. Where Spring's shutdown hook closes the context because the JVM exits by
 * itself, it is stopped first and holds the web server until {@code drain} is over.
 */
final class GraceshutLifecycle implements SmartLifecycle {
    /** The web server's graceful shutdown is at MAX - 1024, and higher ones are stopped earlier. */
    static final int PHASE = Integer.MAX_VALUE - 512;
    private static final String SPRING_HOOK = "SpringApplicationShutdownHook";
    /** How long Spring's shutdown hook waits for ours to begin the phases beside it. */
    private static final long BEGIN_MS = 1000;

    private final Graceshut gs;
    private final ConfigurableApplicationContext context;
    private final WebQuiet quiet;
    private final CountDownLatch drained = new CountDownLatch(1);
    private volatile boolean running;

    GraceshutLifecycle(Graceshut gs, ConfigurableApplicationContext context, WebQuiet quiet) {
        this.gs = gs;
        this.context = context;
        this.quiet = quiet;
    }

    @Override
    public void start() {
        running = true;
        gs.hook(Phase.ANNOUNCE, "spring-readiness",
                ctx -> AvailabilityChangeEvent.publish(context, ReadinessState.REFUSING_TRAFFIC));
        gs.hook(Phase.DRAIN, "spring-web", this::drain);
        gs.hook(Phase.CLOSE, "spring-context", this::close);
    }

    private void drain(HookContext ctx) throws InterruptedException {
        try {
            if (quiet != null) {
                quiet.await(ctx);
            }
        } finally {
            drained.countDown();
        }
    }

    private void close(HookContext ctx) {
        drained.countDown();
        ctx.remaining().ifPresent(this::bound);
        context.close();
    }

    /** Spring gives every phase of its own the same time; none may take more than the hook has. */
    private void bound(Duration left) {
        if (context.containsBean(AbstractApplicationContext.LIFECYCLE_PROCESSOR_BEAN_NAME)
                && context.getBean(AbstractApplicationContext.LIFECYCLE_PROCESSOR_BEAN_NAME) instanceof DefaultLifecycleProcessor processor) {
            processor.setTimeoutPerShutdownPhase(Math.max(1, left.toMillis() * 8 / 10));
        }
    }

    @Override
    public void stop() {
        running = false;
        try {
            if (Thread.currentThread().getName().equals(SPRING_HOOK)) {
                gs.stopping().get(BEGIN_MS, TimeUnit.MILLISECONDS);
            }
            if (gs.state() == Graceshut.State.STOPPING) {
                drained.await(); // the watchdog bounds it
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (java.util.concurrent.ExecutionException | java.util.concurrent.TimeoutException e) {
            // nobody begins: an ordinary close
        }
    }

    @Override
    public boolean isRunning() {
        return running;
    }

    @Override
    public int getPhase() {
        return PHASE;
    }
}
