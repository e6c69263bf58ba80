package dev.graceshut.kafka;

import dev.graceshut.ErrorKind;
import dev.graceshut.Graceshut;
import dev.graceshut.GraceshutException;
import java.time.Duration;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/**
 * Records of Kafka, written in batches and committed when they are written: a record counts as done when the call of
 * {@code write} that was given it has returned. Nothing else is ever committed.
 *
 * <pre>{@code
 * var consumer = new KafkaConsumer<String, String>(config);            // enable.auto.commit=false
 * Batches.of(gs, consumer, List.of("orders"), batch -> store.bulk(batch)).size(500).every(Duration.ofSeconds(5)).run();
 * System.exit(gs.await());
 * }</pre>
 *
 * <p>The consumer belongs to a thread of this helper from {@link #run()} on, until it is closed: a KafkaConsumer knows one thread
 * at a time. {@code write} runs on the thread that called {@link #run()}; while it runs the member stays in the group, however long
 * it takes. At a revoke what was taken is written and committed first, for at most 10 s; what cannot be is left to the next member.
 *
 * <p>At the shutdown: {@code drain} takes no more and writes the rest, {@code flush} tries once more what failed, {@code close}
 * leaves the group, also while a write is stuck. What could not be written is not committed, comes again, and the report says so.
 */
public final class Batches<K, V> {
    /** Writes one batch. */
    @FunctionalInterface
    public interface Write<K, V> {
        /**
         * Returns when the batch is written for good. In a partition records come in the order of their offsets.
         *
         * @throws Exception the batch is not written: nothing of it is committed, and {@link Batches#run()} ends with this
         */
        void write(List<ConsumerRecord<K, V>> batch) throws Exception;
    }

    private final Graceshut gs;
    private final Consumer<K, V> consumer;
    private final Collection<String> topics;
    private final Write<K, V> write;
    private int size = 500;
    private Duration every = Duration.ofSeconds(5);
    private String name = "kafka";
    private Duration retry;
    private ConsumerRebalanceListener listener = new NoRebalanceListener();

    private Batches(Graceshut gs, Consumer<K, V> consumer, Collection<String> topics, Write<K, V> write) {
        this.gs = gs;
        this.consumer = consumer;
        this.topics = topics;
        this.write = write;
    }

    /**
     * Prepares one; nothing happens before {@link #run()}.
     *
     * @param consumer not subscribed yet, with {@code enable.auto.commit=false}
     * @throws GraceshutException null, bad_value where the consumer is seen to commit by itself
     */
    public static <K, V> Batches<K, V> of(Graceshut gs, Consumer<K, V> consumer, Collection<String> topics, Write<K, V> write) {
        if (gs == null || consumer == null || topics == null || write == null) {
            throw new GraceshutException(ErrorKind.NULL, "gs, consumer, topics or write is null");
        }
        AutoCommit.refuse(consumer);
        return new Batches<>(gs, consumer, topics, write);
    }

    /** The most records in a batch; 500 where nothing is said. */
    public Batches<K, V> size(int records) {
        if (records < 1) {
            throw new GraceshutException(ErrorKind.BAD_VALUE, "size is " + records + ": a batch has at least one record");
        }
        size = records;
        return this;
    }

    /** The longest a record waits for its batch to fill; 5 s where nothing is said. */
    public Batches<K, V> every(Duration time) {
        if (time == null || time.isNegative() || time.isZero()) {
            throw new GraceshutException(ErrorKind.BAD_TIME, "every is " + time + ": it has to be positive");
        }
        every = time;
        return this;
    }

    /** The name of the three hooks; {@code kafka} where nothing is said. */
    public Batches<K, V> name(String hooks) {
        name = hooks;
        return this;
    }

    /**
     * A batch that {@code write} threw for is tried again after {@code pause}, as often as it takes, and each failure is logged
     * (the {@link System.Logger} {@code dev.graceshut}); where nothing is said the first failure ends {@link #run()}.
     */
    public Batches<K, V> retry(Duration pause) {
        if (pause == null || pause.isNegative()) {
            throw new GraceshutException(ErrorKind.BAD_TIME, "the pause is " + pause + ": a time cannot be negative");
        }
        retry = pause;
        return this;
    }

    /** Told of the partitions as {@code subscribe} tells it, on the consumer's thread; after a revoke was dealt with. */
    public Batches<K, V> listener(ConsumerRebalanceListener told) {
        if (told == null) {
            throw new GraceshutException(ErrorKind.NULL, "the listener is null");
        }
        listener = told;
        return this;
    }

    /**
     * Consumes until the process stops; blocks until the consumer is closed. Once it stops, a batch that {@code write} threw for
     * is tried once more in {@code flush}, and what that throws is the outcome of the hook there.
     *
     * @throws Exception what {@code write} threw before the process stopped, or the client where it cannot go on by itself; the
     *     consumer has left the group then. InterruptedException likewise, when this thread is interrupted
     */
    public void run() throws Exception {
        Loop<K, V> loop = new Loop<>(consumer, topics, listener, size, Duration.ZERO, true);
        if (loop.start(gs, name)) {
            run(loop, size, every, retry, write);
        }
    }

    static <K, V> void run(Loop<K, V> loop, int size, Duration every, Duration retry, Write<K, V> write) throws Exception {
        Ledger<K, V> ledger = loop.ledger;
        try {
            for (var batch = ledger.batch(size, every); batch != null; batch = ledger.batch(size, every)) {
                write(ledger, batch, retry, write);
            }
        } catch (Throwable t) {
            boolean stops = !ledger.isTaking() && ledger.failure() == null;
            ledger.giveUp(t);
            loop.awaitEnd();
            if (stops && t instanceof Exception && !(t instanceof InterruptedException)) {
                return; // flush has said it
            }
            throw t;
        }
        loop.throwFailure();
    }

    private static <K, V> void write(Ledger<K, V> ledger, List<ConsumerRecord<K, V>> batch, Duration retry, Write<K, V> write)
            throws Exception {
        while (true) {
            try {
                write.write(Collections.unmodifiableList(batch));
                ledger.done(batch);
                return;
            } catch (InterruptedException e) {
                throw e;
            } catch (Exception e) {
                if (ledger.putBack(batch)) {
                    log("a batch is not written, and waits for flush or another member", e);
                    return;
                }
                if (retry == null || !ledger.isTaking()) {
                    throw e;
                }
                log("a batch is not written, and is tried again", e);
            }
            ledger.await(() -> !ledger.isTaking(), retry.toNanos());
        }
    }

    private static void log(String what, Exception e) {
        System.getLogger("dev.graceshut").log(System.Logger.Level.WARNING, what, e);
    }
}
