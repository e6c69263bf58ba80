package dev.graceshut.kafka;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;

/**
 * How far each record is: taken from Kafka, handed out, done. The loop's thread adds and commits, the program's threads take and
 * say done. Every field is under this object's monitor, and every change wakes who waits on it.
 *
 * <p>What may be committed of a partition is where its first record lies that is not done: never past one.
 */
final class Ledger<K, V> {
    /** One partition, from its assignment to its revocation. */
    private static final class Part {
        /** Offsets that are not done; true: handed out. */
        final TreeMap<Long, Boolean> open = new TreeMap<>();
        /** Behind the last record taken. */
        long next;
        long committed;

        Part(long first) {
            committed = first;
        }

        long position() {
            return open.isEmpty() ? next : open.firstKey();
        }
    }

    private final ArrayDeque<ConsumerRecord<K, V>> buffer = new ArrayDeque<>();
    private final Map<TopicPartition, Part> parts = new HashMap<>();
    private int handed;
    /** Records that the program has in hand, also of partitions that are gone. */
    private final Set<ConsumerRecord<K, V>> inHand = Collections.newSetFromMap(new IdentityHashMap<>());
    /** When the oldest record of the buffer came, on the clock of nanoTime. */
    private long oldest;
    private boolean taking = true;
    private boolean flushing;
    private boolean revoking;
    /** A batch could not be written: nothing is handed out until flush tries once more, or until the revoke is over. */
    private boolean heldBack;
    private boolean ended;
    private Throwable failure;
    /** Nothing that was handed out will be done any more. */
    private boolean givenUp;
    /** The program has heard that no more comes. */
    private boolean told;
    private Long closeBy;

    // ---- the loop's thread ----

    /** What a poll brings after the last one that was wanted is left to the next owner: nothing is taken any more for good. */
    synchronized void add(Iterable<ConsumerRecord<K, V>> records) {
        if (!taking) {
            return;
        }
        for (ConsumerRecord<K, V> record : records) {
            if (buffer.isEmpty()) {
                oldest = System.nanoTime();
            }
            Part part = parts.computeIfAbsent(partition(record), tp -> new Part(record.offset()));
            part.open.put(record.offset(), false);
            part.next = record.offset() + 1;
            buffer.add(record);
        }
        notifyAll();
    }

    /** Partitions that are no longer this member's: what was taken of them will come to another member. */
    synchronized void forget(Collection<TopicPartition> gone) {
        for (TopicPartition tp : gone) {
            Part part = parts.remove(tp);
            if (part != null) {
                handed -= (int) part.open.values().stream().filter(out -> out).count();
            }
        }
        buffer.removeIf(record -> gone.contains(partition(record)));
        notifyAll();
    }

    /** What is done and not committed yet, of these partitions; null: of all. */
    synchronized Map<TopicPartition, OffsetAndMetadata> toCommit(Collection<TopicPartition> of) {
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        parts.forEach((tp, part) -> {
            if ((of == null || of.contains(tp)) && part.position() > part.committed) {
                offsets.put(tp, new OffsetAndMetadata(part.position()));
            }
        });
        return offsets;
    }

    synchronized void committed(Map<TopicPartition, OffsetAndMetadata> offsets) {
        offsets.forEach((tp, at) -> {
            Part part = parts.get(tp);
            if (part != null) {
                part.committed = Math.max(part.committed, at.offset());
            }
        });
        notifyAll();
    }

    /** Whether more is to be fetched: one batch under way and one waiting is enough. */
    synchronized boolean wantsMore(int size) {
        return taking && buffer.size() < size;
    }

    synchronized void revoking(boolean now) {
        revoking = now;
        heldBack &= now || !taking;
        notifyAll();
    }

    synchronized void end() {
        ended = true;
        taking = false;
        notifyAll();
    }

    /** When the consumer is to be closed, on the clock of nanoTime; null while it is not asked for. */
    synchronized Long closeBy() {
        return closeBy;
    }

    /** Whether nothing of these partitions (null: of all) is handed out and not done; with {@code buffered}, nor waits for it. */
    synchronized boolean isSettled(Collection<TopicPartition> of, boolean buffered) {
        for (Map.Entry<TopicPartition, Part> e : parts.entrySet()) {
            if (of == null || of.contains(e.getKey())) {
                boolean open = buffered ? !e.getValue().open.isEmpty() : e.getValue().open.containsValue(true);
                if (open) {
                    return false;
                }
            }
        }
        return true;
    }

    // ---- hooks ----

    synchronized void stopTaking() {
        taking = false;
        notifyAll();
    }

    /** From now on what is left is handed out at once. */
    synchronized void flush() {
        taking = false;
        heldBack &= flushing;
        flushing = true;
        notifyAll();
    }

    /** The first failure ends the loop. */
    synchronized void fail(Throwable error) {
        if (failure == null) {
            failure = error;
        }
        flush();
    }

    /** The program's own work failed. */
    synchronized void giveUp(Throwable error) {
        givenUp = true;
        fail(error);
    }

    synchronized boolean isHeldBack() {
        return heldBack;
    }

    synchronized boolean hasGivenUp() {
        return givenUp;
    }

    synchronized void closeBy(long nanoTime) {
        taking = false;
        if (closeBy == null) {
            closeBy = nanoTime;
        }
        notifyAll();
    }

    synchronized Throwable failure() {
        return failure;
    }

    synchronized boolean isTaking() {
        return taking;
    }

    /** As {@link #isTaking}, for the program, which then knows. */
    synchronized boolean isOpen() {
        if (!taking) {
            told = true;
            notifyAll();
        }
        return taking;
    }

    synchronized boolean isTold() {
        return told;
    }

    synchronized boolean isEnded() {
        return ended;
    }

    /** In Messages: the program holds records and is asked to finish them. */
    synchronized boolean isRevoking() {
        return revoking;
    }

    /** Records handed out and not done, of partitions that are still this member's. */
    synchronized int handed() {
        return handed;
    }

    /** The same, with those of partitions that are gone. */
    synchronized int inHand() {
        return inHand.size();
    }

    /** Records that wait to be handed out. */
    synchronized int waiting() {
        return buffer.size();
    }

    /**
     * Waits until {@code condition} holds, which is asked under the monitor at every change; false when {@code limitNanos} passed
     * first.
     */
    synchronized boolean await(BooleanSupplier condition, long limitNanos) throws InterruptedException {
        long until = System.nanoTime() + limitNanos;
        while (!condition.getAsBoolean()) {
            long left = until - System.nanoTime();
            if (left <= 0) {
                return false;
            }
            wait(Math.min(1000, left / 1_000_000 + 1));
        }
        return true;
    }

    // ---- the program's threads ----

    /**
     * The next batch: when {@code size} records are there, when the oldest has waited for {@code every}, or at once where what is
     * left is to be written; null when the loop has ended.
     */
    synchronized List<ConsumerRecord<K, V>> batch(int size, Duration every) throws InterruptedException {
        while (!ended) {
            long wait = due(size, every.toNanos());
            if (wait <= 0) {
                List<ConsumerRecord<K, V>> batch = take(size);
                if (!batch.isEmpty()) {
                    return batch;
                }
            } else {
                wait(Math.min(1000, wait / 1_000_000 + 1));
            }
        }
        return null;
    }

    /** How long until a batch is to be handed out. */
    private long due(int size, long every) {
        if (buffer.isEmpty()) {
            return Long.MAX_VALUE;
        }
        if (heldBack) {
            return Long.MAX_VALUE;
        }
        if (!taking || revoking) {
            return 0;
        }
        return buffer.size() >= size ? 0 : oldest + every - System.nanoTime();
    }

    private List<ConsumerRecord<K, V>> take(int most) {
        List<ConsumerRecord<K, V>> taken = new ArrayList<>(Math.min(most, buffer.size()));
        while (taken.size() < most && !buffer.isEmpty()) {
            ConsumerRecord<K, V> record = buffer.poll();
            // One that was done before its partition went and came back is not handed out again.
            if (parts.get(partition(record)).open.replace(record.offset(), true) != null) {
                handed++;
                inHand.add(record);
                taken.add(record);
            }
        }
        oldest = System.nanoTime();
        notifyAll();
        return taken;
    }

    /** One record, or null when none came within {@code wait} or none is handed out any more. */
    synchronized ConsumerRecord<K, V> one(Duration wait) throws InterruptedException {
        await(() -> !taking || revoking || !buffer.isEmpty(), wait.toNanos());
        List<ConsumerRecord<K, V>> one = isOpen() ? take(1) : List.of();
        return one.isEmpty() ? null : one.get(0);
    }

    synchronized void done(Collection<ConsumerRecord<K, V>> records) {
        for (ConsumerRecord<K, V> record : records) {
            inHand.remove(record);
            Part part = parts.get(partition(record));
            Boolean out = part == null ? null : part.open.remove(record.offset());
            if (Boolean.TRUE.equals(out)) {
                handed--;
            }
        }
        notifyAll();
    }

    /**
     * That batch could not be written while the process stops, and waits for flush to try once more; or at a revoke, where it is
     * left to the next owner. False when this was flush's try, or no such time.
     */
    synchronized boolean putBack(List<ConsumerRecord<K, V>> batch) {
        if (taking && !revoking || flushing || ended) {
            return false;
        }
        heldBack = true;
        for (int i = batch.size() - 1; i >= 0; i--) {
            ConsumerRecord<K, V> record = batch.get(i);
            inHand.remove(record);
            Part part = parts.get(partition(record));
            if (part != null && Boolean.TRUE.equals(part.open.get(record.offset()))) {
                part.open.put(record.offset(), false);
                handed--;
                buffer.addFirst(record);
            }
        }
        notifyAll();
        return true;
    }

    static TopicPartition partition(ConsumerRecord<?, ?> record) {
        return new TopicPartition(record.topic(), record.partition());
    }
}
