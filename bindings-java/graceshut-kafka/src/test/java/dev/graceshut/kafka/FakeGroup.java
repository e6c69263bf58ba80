package dev.graceshut.kafka;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.MockConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.errors.TimeoutException;

/**
 * A broker with one topic and a group, as one member sees it: partitions come and go, another member goes on where this one
 * committed, commits time out with or without effect. It judges what is asked of it, as Kafka does not: a commit past what was
 * written, a commit that goes back, one of a partition that is another member's, and a call from a second thread.
 */
final class FakeGroup extends MockConsumer<String, String> {
    static final String TOPIC = "t";
    private final Random random;
    private final Faults faults;
    private final int partitions;
    private final Map<TopicPartition, Long> committed = new HashMap<>();
    private final Map<TopicPartition, Long> position = new HashMap<>();
    private final Map<TopicPartition, Long> fetched = new HashMap<>();
    private final Set<TopicPartition> mine = new HashSet<>();
    private final Set<TopicPartition> paused = new HashSet<>();
    /** Records whose write has returned, by this member or another. */
    private final Set<String> written = ConcurrentHashMap.newKeySet();
    final List<String> wrong = new ArrayList<>();
    private ConsumerRebalanceListener listener;
    private Thread owner;
    private boolean member = true;
    volatile boolean dry;
    volatile boolean closed;
    /** Commits of partitions that were lost while their records were written come again elsewhere: no duplicates are promised then. */
    volatile boolean mayRepeat;

    /** What goes wrong, each in one of so many calls; 0: never. */
    record Faults(int rebalance, int lost, int commit) {}

    @SuppressWarnings("deprecation")
    FakeGroup(Random random, int partitions, Faults faults) {
        super("earliest");
        this.random = random;
        this.partitions = partitions;
        this.faults = faults;
    }

    private boolean happens(int oneIn) {
        return oneIn > 0 && random.nextInt(oneIn) == 0;
    }

    private void entered() {
        if (owner == null) {
            owner = Thread.currentThread();
        } else if (owner != Thread.currentThread()) {
            wrong.add("ConcurrentModificationException: " + Thread.currentThread() + " beside " + owner);
        }
    }

    @Override
    public void subscribe(Collection<String> topics, ConsumerRebalanceListener l) {
        entered();
        listener = l;
        List<TopicPartition> all = new ArrayList<>();
        for (int p = 0; p < partitions; p++) {
            all.add(new TopicPartition(TOPIC, p));
        }
        assign(all, true);
    }

    private void assign(Collection<TopicPartition> more, boolean tell) {
        mine.addAll(more);
        more.forEach(tp -> position.put(tp, committed.getOrDefault(tp, 0L)));
        if (tell) {
            listener.onPartitionsAssigned(more);
        }
    }

    @Override
    public Set<TopicPartition> assignment() {
        entered();
        return Set.copyOf(mine);
    }

    @Override
    public void pause(Collection<TopicPartition> which) {
        entered();
        paused.addAll(which);
    }

    @Override
    public void resume(Collection<TopicPartition> which) {
        entered();
        paused.removeAll(Set.copyOf(which));
    }

    @Override
    public Set<TopicPartition> paused() {
        entered();
        return Set.copyOf(paused);
    }

    @Override
    public ConsumerRecords<String, String> poll(Duration timeout) {
        entered();
        if (!member) {
            member = true;
            lose(new HashSet<>(mine));
        } else if (happens(faults.rebalance)) {
            rebalance();
        }
        Map<TopicPartition, List<ConsumerRecord<String, String>>> found = new HashMap<>();
        for (TopicPartition tp : mine) {
            if (!paused.contains(tp) && !dry) {
                List<ConsumerRecord<String, String>> records = new ArrayList<>();
                for (int n = random.nextInt(4); n > 0; n--) {
                    long at = position.merge(tp, 1L, Long::sum) - 1;
                    fetched.merge(tp, at, Math::max);
                    records.add(new ConsumerRecord<>(TOPIC, tp.partition(), at, null, name(tp, at)));
                }
                found.put(tp, records);
            }
        }
        try {
            Thread.sleep(Math.min(timeout.toMillis(), 1 + random.nextInt(2)));
        } catch (InterruptedException e) {
            wrong.add("the loop's thread was interrupted");
        }
        return new ConsumerRecords<>(found, Map.of());
    }

    private void rebalance() {
        Set<TopicPartition> some = new HashSet<>(mine);
        some.removeIf(tp -> random.nextBoolean());
        if (happens(faults.lost)) {
            lose(some);
            return;
        }
        listener.onPartitionsRevoked(some);
        elsewhere(some);
    }

    private void lose(Set<TopicPartition> some) {
        mayRepeat = true;
        listener.onPartitionsLost(some);
        elsewhere(some);
    }

    /** Another member takes these over, goes on where the group is, and gives them back. */
    private void elsewhere(Set<TopicPartition> some) {
        mine.removeAll(some);
        paused.removeAll(some);
        for (TopicPartition tp : some) {
            for (int n = random.nextInt(3); n > 0; n--) {
                long at = committed.merge(tp, 1L, Long::sum) - 1;
                written.add(name(tp, at));
            }
        }
        assign(some, true);
    }

    @Override
    public void commitSync(Map<TopicPartition, OffsetAndMetadata> offsets, Duration timeout) {
        entered();
        if (happens(faults.commit)) {
            switch (random.nextInt(4)) {
                case 0 -> throw new RebalanceInProgressException();
                case 1 -> throw new TimeoutException("not arrived");
                case 2 -> {
                    apply(offsets);
                    throw new TimeoutException("arrived all the same");
                }
                default -> {
                    member = false;
                    mayRepeat = true;
                    throw new CommitFailedException();
                }
            }
        }
        apply(offsets);
    }

    private void apply(Map<TopicPartition, OffsetAndMetadata> offsets) {
        offsets.forEach((tp, at) -> {
            long before = committed.getOrDefault(tp, 0L);
            if (!mine.contains(tp)) {
                wrong.add(tp + " is another member's");
            }
            if (at.offset() < before) {
                wrong.add(tp + " rewound from " + before + " to " + at.offset());
            }
            for (long o = before; o < at.offset(); o++) {
                if (!written.contains(name(tp, o))) {
                    wrong.add("LOST " + name(tp, o) + ", committed and not written");
                }
            }
            committed.put(tp, at.offset());
        });
    }

    @Override
    public void close(Duration timeout) {
        entered();
        listener.onPartitionsRevoked(Set.copyOf(mine));
        closed = true;
    }

    @Override
    public void wakeup() {
        wrong.add("wakeup");
    }

    /** Write returned; true when it is the first time. */
    boolean wrote(ConsumerRecord<String, String> record) {
        return written.add(name(Ledger.partition(record), record.offset()));
    }

    /** Everything that was ever fetched is committed. */
    boolean isAllCommitted() {
        return fetched.entrySet().stream().allMatch(e -> committed.getOrDefault(e.getKey(), 0L) > e.getValue());
    }

    private static String name(TopicPartition tp, long offset) {
        return tp.partition() + "/" + offset;
    }
}
