package dev.graceshut.kafka;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.junit.jupiter.api.Test;

/** Whatever the order of events: nothing is committed that was not written, by one thread, and the group is left. */
class PropertyTest {
    private static final int ROUNDS = 150;
    private static final Duration BUDGET = Duration.ofMillis(500);

    @Test
    void batches() throws Exception {
        rounds(seed -> new Round(seed).batches());
    }

    @Test
    void messages() throws Exception {
        rounds(seed -> new Round(seed).messages());
    }

    private interface OneRound {
        void run(int seed) throws Exception;
    }

    /** Side by side: they mostly wait. */
    private static void rounds(OneRound round) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(8);
        try {
            List<Future<Void>> all = new ArrayList<>();
            for (int seed = 0; seed < ROUNDS; seed++) {
                int s = seed;
                all.add(pool.submit((Callable<Void>) () -> {
                    try {
                        round.run(s);
                    } catch (Throwable t) {
                        throw new AssertionError("seed " + s + ": " + t.getMessage(), t);
                    }
                    return null;
                }));
            }
            for (Future<Void> one : all) {
                one.get(120, TimeUnit.SECONDS);
            }
        } finally {
            pool.shutdownNow();
        }
    }

    private static final class Round {
        final Random random;
        final boolean faulty;
        final boolean stuck;
        final boolean throwing;
        final FakeGroup group;
        final AtomicInteger repeated = new AtomicInteger();
        final CountDownLatch release = new CountDownLatch(1);
        volatile boolean stopping;
        volatile boolean blocked;
        volatile int threw;

        Round(int seed) {
            random = new Random(seed);
            faulty = random.nextBoolean();
            stuck = random.nextInt(4) == 0;
            throwing = !stuck && random.nextInt(6) == 0;
            group = new FakeGroup(new Random(seed), 1 + random.nextInt(4),
                    faulty ? new FakeGroup.Faults(5 + random.nextInt(20), 3, 4) : new FakeGroup.Faults(5 + random.nextInt(20), 0, 0));
        }

        /** Some writes take their time; from the signal on one may be stuck, or fail. */
        void write(List<ConsumerRecord<String, String>> batch) throws Exception {
            if (stopping && stuck) {
                blocked = true;
                release.await();
            }
            if (stopping && throwing) {
                threw++;
                throw new IllegalStateException("the store is down");
            }
            if (batch.get(0).offset() % 3 == 0) {
                Thread.sleep(1);
            }
            for (ConsumerRecord<String, String> record : batch) {
                if (!group.wrote(record)) {
                    repeated.incrementAndGet();
                }
            }
        }

        void batches() throws Exception {
            Loop<String, String> loop = new Loop<>(group, List.of(FakeGroup.TOPIC), new NoRebalanceListener(), 10, Duration.ZERO, true);
            loop.start("loop");
            List<Throwable> ended = new ArrayList<>();
            Thread program = new Thread(() -> {
                try {
                    Batches.run(loop, 10, Duration.ofMillis(20), null, this::write);
                } catch (Throwable t) {
                    ended.add(t);
                }
            });
            program.start();
            Thread.sleep(random.nextInt(120));
            stop(loop);
            program.join(10_000);
            assertFalse(program.isAlive(), "run() does not end");
            judge(loop, blocked);
            if (!throwing) {
                assertEquals(List.of(), ended);
            }
        }

        void messages() throws Exception {
            Loop<String, String> loop = new Loop<>(group, List.of(FakeGroup.TOPIC), new NoRebalanceListener(), 10, Duration.ofMillis(10), false);
            loop.start("loop");
            Thread program = new Thread(() -> consume(loop.ledger));
            program.start();
            Thread.sleep(random.nextInt(120));
            stop(loop);
            program.join(10_000);
            assertFalse(program.isAlive(), "the loop does not end");
            judge(loop, blocked && !group.mayRepeat);
        }

        /** Holds some and says done in any order. */
        private void consume(Ledger<String, String> ledger) {
            Random order = new Random(1);
            Deque<ConsumerRecord<String, String>> held = new ArrayDeque<>();
            try {
                while (ledger.isOpen()) {
                    ConsumerRecord<String, String> record = ledger.one(Duration.ofMillis(5));
                    if (record != null) {
                        if (order.nextBoolean()) {
                            held.addLast(record);
                        } else {
                            held.addFirst(record);
                        }
                    }
                    while (held.size() > 5 || record == null && !held.isEmpty()) {
                        finish(ledger, held.poll());
                    }
                }
                while (!held.isEmpty()) {
                    finish(ledger, held.poll());
                }
            } catch (Exception e) {
                // the store is down
            }
        }

        private void finish(Ledger<String, String> ledger, ConsumerRecord<String, String> record) throws Exception {
            write(List.of(record));
            ledger.done(List.of(record));
        }

        private Throwable drained;
        private Throwable flushed;
        private Throwable closed;

        void stop(Loop<String, String> loop) throws InterruptedException {
            stopping = true;
            if (random.nextInt(5) > 0) { // else expedited: drain is skipped
                drained = Time.run(BUDGET, loop::drain);
            }
            flushed = Time.run(BUDGET, loop::flush);
            closed = Time.run(BUDGET, loop::close);
            assertTrue(group.closed, "the group is not left: " + closed);
            release.countDown();
        }

        void judge(Loop<String, String> loop, boolean unfinished) {
            assertEquals(List.of(), group.wrong);
            assertNull(closed);
            if (unfinished) {
                assertNotNull(flushed, "a write is stuck and flush says ok");
            } else if (!throwing && !blocked && !faulty) {
                assertNull(drained);
                assertNull(flushed);
                assertEquals(0, repeated.get(), "duplicates");
                assertEquals(0, loop.ledger.inHand());
            }
            if (threw > 1 && !group.mayRepeat) {
                assertNotNull(flushed, "a write failed in flush as well, and flush says ok");
            }
            if (flushed == null && loop.ledger.failure() == null && !group.mayRepeat) {
                assertTrue(loop.ledger.toCommit(null).isEmpty());
            }
        }
    }
}
