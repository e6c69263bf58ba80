package dev.graceshut.kafka;

import dev.graceshut.ErrorKind;
import dev.graceshut.Graceshut;
import dev.graceshut.GraceshutException;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/**
 * Records of Kafka one at a time: a record counts as done when {@link #done} was called with it, in any order. Of a partition
 * nothing is committed past the first record that is not done.
 *
 * <pre>{@code
 * try (var messages = Messages.open(gs, consumer, List.of("orders"))) {
 *     while (messages.isOpen()) {
 *         var record = messages.next(Duration.ofSeconds(1));           // null: nothing came, time for a tick
 *         if (record != null) { handle(record); messages.done(record); }
 *     }
 * }
 * System.exit(gs.await());
 * }</pre>
 *
 * <p>The consumer belongs to a thread of this helper until it is closed. At the shutdown: {@code drain} hands out no more and
 * waits until what is in hand is done or {@link #isOpen} has answered false; {@code flush} waits for what is still to be done,
 * as by a flush hook of yours, and commits it; {@code close} leaves the group, also while a handler is stuck. Any thread.
 */
public final class Messages<K, V> implements AutoCloseable {
    private static final int AHEAD = 500;
    private static final Duration COMMIT_EVERY = Duration.ofSeconds(1);
    private static final Duration CLOSE = Duration.ofSeconds(5);

    private final Loop<K, V> loop;
    private final Ledger<K, V> ledger;

    private Messages(Loop<K, V> loop) {
        this.loop = loop;
        this.ledger = loop.ledger;
    }

    /** As {@link #open(Graceshut, Consumer, Collection, String)}, with hooks named {@code kafka}. */
    public static <K, V> Messages<K, V> open(Graceshut gs, Consumer<K, V> consumer, Collection<String> topics) {
        return open(gs, consumer, topics, "kafka");
    }

    /**
     * Subscribes and begins to fetch, on a thread of its own. Where the process is past taking work the consumer is closed at
     * once, and {@link #isOpen} answers false.
     *
     * @param consumer not subscribed yet, with {@code enable.auto.commit=false}
     * @param name the name of the hooks in drain, flush and close
     * @throws GraceshutException null, closed, bad_value where the consumer is seen to commit by itself
     */
    public static <K, V> Messages<K, V> open(Graceshut gs, Consumer<K, V> consumer, Collection<String> topics, String name) {
        if (gs == null || consumer == null || topics == null) {
            throw new GraceshutException(ErrorKind.NULL, "gs, consumer or topics is null");
        }
        AutoCommit.refuse(consumer);
        Loop<K, V> loop = new Loop<>(consumer, topics, new NoRebalanceListener(), AHEAD, COMMIT_EVERY, false);
        loop.start(gs, name);
        return new Messages<>(loop);
    }

    /** False when no more records will come: finish what is in hand. */
    public boolean isOpen() {
        return ledger.isOpen();
    }

    /**
     * The next record; null when none came in that time, when partitions are being revoked, or when no more come.
     *
     * @throws org.apache.kafka.common.KafkaException where the client cannot go on by itself; it has left the group then
     * @throws InterruptedException when this thread is interrupted
     */
    public ConsumerRecord<K, V> next(Duration wait) throws InterruptedException {
        ConsumerRecord<K, V> record = ledger.one(wait);
        if (record == null) {
            loop.throwFailure();
        }
        return record;
    }

    /** That record needs nothing any more, also when it was decided to pass it over. A second call does nothing. */
    public void done(ConsumerRecord<K, V> record) {
        ledger.done(List.of(record));
    }

    /** Partitions are being taken away: finish now what you hold, within 10 s; what is not done by then comes again elsewhere. */
    public boolean isRevoking() {
        return ledger.isRevoking();
    }

    /** Leaves the group, at most 5 s, with what is done committed; during the shutdown that is the hooks' part. */
    @Override
    public void close() {
        boolean stopping = !ledger.isOpen() && ledger.failure() == null;
        if (!stopping) {
            ledger.closeBy(System.nanoTime() + CLOSE.toNanos());
            loop.awaitEnd();
            if (ledger.inHand() == 0) {
                loop.forgetHooks(); // else the report of the shutdown says what was not done
            }
        }
    }
}
