package dev.graceshut.kafka;

import dev.graceshut.ErrorKind;
import dev.graceshut.Graceshut;
import dev.graceshut.GraceshutException;
import dev.graceshut.HookContext;
import dev.graceshut.HookHandle;
import dev.graceshut.Phase;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.errors.WakeupException;

/**
 * The one thread that knows the consumer: it polls, commits what is done, and closes. The program's work runs elsewhere, and so
 * this thread is free to leave the group while a write is stuck. Hooks ask it through the {@link Ledger} and wait within their
 * budget; they never touch the consumer, and nothing is woken by {@code wakeup()}, which could hit a commit.
 */
final class Loop<K, V> {
    private static final Duration POLL = Duration.ofMillis(100);
    /** While a record is in hand: the loop has to see soon that it is done, and that more is wanted. */
    private static final Duration POLL_BUSY = Duration.ofMillis(10);
    /** A commit is asked for again rather than waited for: the loop stays free to close. */
    private static final Duration COMMIT = Duration.ofMillis(500);
    /** What is still under way when the loop fails by itself, and where a partition is revoked, is given this long. */
    static final Duration SETTLE = Duration.ofSeconds(10);
    private static final long AGAIN_NS = TimeUnit.MILLISECONDS.toNanos(20);

    /** The last one of each name. */
    private static final Map<String, Loop<?, ?>> STARTED = new ConcurrentHashMap<>();

    final Ledger<K, V> ledger = new Ledger<>();
    private final Consumer<K, V> consumer;
    private final Collection<String> topics;
    private final int ahead;
    private final long commitEvery;
    /** Whether what waits to be handed out is finished as well when a partition goes, or left to its next owner. */
    private final boolean finishesBuffer;
    /** The loop's thread only. */
    private boolean closing;
    private long lastCommit = System.nanoTime();
    private volatile String closeTrouble;

    private final ConsumerRebalanceListener tell;
    private final List<HookHandle> hooks = new ArrayList<>();
    private String name;

    Loop(Consumer<K, V> consumer, Collection<String> topics, ConsumerRebalanceListener tell, int ahead, Duration commitEvery,
            boolean finishesBuffer) {
        this.consumer = consumer;
        this.tell = tell;
        this.topics = List.copyOf(topics);
        this.ahead = ahead;
        this.commitEvery = commitEvery.toNanos();
        this.finishesBuffer = finishesBuffer;
    }

    /** Registers the hooks and starts the thread; false, with the consumer closed, when the process is past taking work. */
    boolean start(Graceshut gs, String named) {
        name = named;
        Loop<?, ?> before = STARTED.put(name, this);
        if (before != null && before.ledger.isEnded()) {
            before.forgetHooks(); // it failed, and the program has begun anew: what was not done came again
        }
        try {
            hooks.add(gs.hook(Phase.DRAIN, name, this::drain));
            hooks.add(gs.hook(Phase.FLUSH, name, this::flush));
            hooks.add(gs.hook(Phase.CLOSE, name, this::close));
        } catch (GraceshutException e) {
            if (e.kind() == ErrorKind.TOO_LATE) {
                ledger.end();
                consumer.close();
                return false;
            }
            throw e;
        }
        start("graceshut-" + name);
        return true;
    }

    void start(String name) {
        Thread thread = new Thread(this::run, name);
        thread.setDaemon(true);
        thread.start();
    }

    /** For the program's thread: until the group is left, or the time for that is over. */
    void awaitEnd() {
        pause(ledger::isEnded, System.nanoTime() + 2 * SETTLE.toNanos());
    }

    /** The loop has ended well and the process goes on: the shutdown has nothing to do here. */
    void forgetHooks() {
        hooks.forEach(HookHandle::remove);
        STARTED.remove(name, this);
    }

    /** What the client could not get over by itself. */
    void throwFailure() {
        if (ledger.failure() instanceof RuntimeException e) {
            throw e;
        }
        if (ledger.failure() instanceof Error e) {
            throw e;
        }
    }

    // ---- the loop's thread ----

    private void run() {
        try {
            consumer.subscribe(topics, new Rebalance());
            while (ledger.closeBy() == null && ledger.failure() == null) {
                turn();
            }
        } catch (Throwable t) {
            ledger.fail(t);
            finishAfterFailure();
        } finally {
            leave();
            ledger.end();
        }
    }

    private void turn() {
        boolean open = ledger.wantsMore(ahead);
        if (open) {
            consumer.resume(consumer.paused());
        } else {
            consumer.pause(consumer.assignment());
        }
        try {
            ledger.add(consumer.poll(open && ledger.handed() == 0 ? POLL : POLL_BUSY));
        } catch (WakeupException | RebalanceInProgressException | RetriableException e) {
            // The client goes on by itself at the next poll.
        }
        if (System.nanoTime() - lastCommit >= commitEvery || !ledger.isTaking()) {
            commit(null);
        }
    }

    /** One attempt; false when asking again may help. */
    private boolean commit(Collection<TopicPartition> of) {
        Map<TopicPartition, OffsetAndMetadata> offsets = ledger.toCommit(of);
        lastCommit = System.nanoTime();
        if (offsets.isEmpty()) {
            return true;
        }
        try {
            consumer.commitSync(offsets, COMMIT);
            ledger.committed(offsets);
            return true;
        } catch (CommitFailedException e) {
            return true; // no longer a member: the next poll tells onPartitionsLost, and others have these records
        } catch (WakeupException | RebalanceInProgressException | RetriableException e) {
            return false; // a time-out, or a rebalance that the next poll completes
        }
    }

    /** The client cannot go on, but a write under way may end in time to be committed. */
    private void finishAfterFailure() {
        try {
            settle(null);
        } catch (RuntimeException e) {
            ledger.failure().addSuppressed(e);
        }
    }

    /** Waits until what was taken of these partitions is done, and commits it; at most SETTLE, not when the consumer is to close. */
    private void settle(Collection<TopicPartition> of) {
        long until = System.nanoTime() + SETTLE.toNanos();
        BooleanSupplier over = () -> ledger.closeBy() != null || ledger.hasGivenUp() || ledger.isHeldBack();
        pause(() -> over.getAsBoolean() || ledger.isSettled(of, finishesBuffer), until);
        while (!commit(of) && !over.getAsBoolean() && System.nanoTime() < until) {
            pause(over, System.nanoTime() + AGAIN_NS);
        }
    }

    private void pause(BooleanSupplier condition, long until) {
        try {
            ledger.await(condition, until - System.nanoTime());
        } catch (InterruptedException e) {
            // The thread is ours: an interrupt says no more than not to wait.
        }
    }

    @SuppressWarnings("deprecation") // close(Duration) is what kafka-clients before 4.1 has
    private void leave() {
        closing = true;
        Long asked = ledger.closeBy();
        long by = asked != null ? asked : System.nanoTime() + SETTLE.toNanos();
        try {
            commit(null);
        } catch (RuntimeException e) {
            ledger.fail(e);
        }
        Duration left = Duration.ofNanos(Math.max(0, by - System.nanoTime()));
        long began = System.nanoTime();
        try {
            consumer.close(left);
            if (System.nanoTime() - began >= left.toNanos() && !left.isZero()) {
                closeTrouble = "the broker did not answer within " + left.toMillis() + " ms: the group learns of it by its session time-out";
            }
        } catch (RuntimeException e) {
            closeTrouble = e.toString();
        }
    }

    private final class Rebalance implements ConsumerRebalanceListener {
        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            if (!ledger.wantsMore(ahead)) {
                consumer.pause(partitions);
            }
            tell.onPartitionsAssigned(partitions);
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            if (!closing) { // consumer.close() calls this too, when flush has done what could be done
                ledger.revoking(true);
                try {
                    settle(partitions);
                } finally {
                    ledger.revoking(false);
                    ledger.forget(partitions);
                }
            }
        }

        @Override
        public void onPartitionsLost(Collection<TopicPartition> partitions) {
            ledger.forget(partitions);
        }
    }

    // ---- hooks, each on a thread of graceshut ----

    void drain(HookContext ctx) {
        ledger.stopTaking();
        BooleanSupplier back = () -> unreturned() == 0 && (ledger.isHeldBack() || ledger.isSettled(null, finishesBuffer));
        if (!until(ctx, () -> ledger.isEnded() || !finishesBuffer && ledger.isTold()
                || back.getAsBoolean() && ledger.toCommit(null).isEmpty())) {
            throw unfinished();
        }
    }

    void flush(HookContext ctx) {
        ledger.flush();
        BooleanSupplier finished = () -> unreturned() == 0 && ledger.isSettled(null, finishesBuffer);
        boolean settled = until(ctx, () -> ledger.isEnded() || ledger.failure() != null
                || finished.getAsBoolean() && ledger.toCommit(null).isEmpty());
        Throwable failure = ledger.failure();
        if (failure != null) {
            throw new IllegalStateException("the loop had ended by an error; what was not done comes again: " + failure);
        }
        if (!settled || !finished.getAsBoolean()) {
            throw unfinished();
        }
    }

    void close(HookContext ctx) {
        long left = ctx.remaining().map(Duration::toNanos).orElse(SETTLE.toNanos());
        ledger.closeBy(System.nanoTime() + left / 10 * 7); // the soft deadline comes at eight tenths
        if (!until(ctx, ledger::isEnded)) {
            throw new IllegalStateException("the consumer is not closed: its thread is still inside of it");
        }
        if (closeTrouble != null) {
            throw new IllegalStateException("the consumer is closed; " + closeTrouble);
        }
    }

    /** Waits to the hook's soft deadline, at which its thread is interrupted. */
    private boolean until(HookContext ctx, BooleanSupplier condition) {
        try {
            return ledger.await(condition, ctx.remaining().map(Duration::toNanos).orElse(Long.MAX_VALUE / 2));
        } catch (InterruptedException e) {
            return false;
        }
    }

    /** A write that is under way counts to its end; of single records only those that are still this member's. */
    private int unreturned() {
        return finishesBuffer ? ledger.inHand() : ledger.handed();
    }

    private IllegalStateException unfinished() {
        int handed = unreturned();
        int waiting = ledger.waiting();
        if (handed > 0) {
            return new IllegalStateException((finishesBuffer ? "a write is still under way, of " + handed + " records"
                    : handed + " records were taken and are not done") + (waiting > 0 ? ", and " + waiting + " wait" : "")
                    + "; none of them is committed, they come again");
        }
        if (waiting > 0 && finishesBuffer) {
            return new IllegalStateException(waiting + " records are not written; they are not committed and come again");
        }
        return new IllegalStateException("what was written could not be committed in time; it comes again");
    }
}
