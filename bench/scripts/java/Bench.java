import dev.graceshut.Graceshut;
import dev.graceshut.InFlight;
import dev.graceshut.Options;
import dev.graceshut.Phase;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Phaser;

/** What the benchmark starts: {@code Bench NAME ARGS}. */
public final class Bench {
    private static final VarHandle INT = MethodHandles.byteBufferViewVarHandle(int[].class, ByteOrder.nativeOrder());
    private static final int UNITS = 1_000_000;
    private static volatile double sink;

    private Bench() {}

    public static void main(String[] args) throws Exception {
        switch (args[0]) {
            case "inflight" -> inflight(Integer.parseInt(args[1]), args[2]);
            case "leave" -> leave(args[1]);
            case "stuck" -> stuck(args[1], args[2]);
            default -> throw new IllegalArgumentException(args[0]);
        }
    }

    private static double wallUs() {
        Instant now = Instant.now();
        return now.getEpochSecond() * 1e6 + now.getNano() / 1e3;
    }

    /** Nanoseconds a unit, all threads together, as the other languages say it. */
    private static double timed(int threads, Runnable unit) throws InterruptedException {
        CountDownLatch begin = new CountDownLatch(1);
        Thread[] all = new Thread[threads];
        for (int i = 0; i < threads; i++) {
            all[i] = new Thread(() -> {
                try {
                    begin.await();
                } catch (InterruptedException e) {
                    return;
                }
                for (int k = 0; k < UNITS; k++) {
                    unit.run();
                }
            });
            all[i].start();
        }
        long from = System.nanoTime();
        begin.countDown();
        for (Thread t : all) {
            t.join();
        }
        return (double) (System.nanoTime() - from) / UNITS / threads;
    }

    private static void inflight(int threads, String peer) throws InterruptedException {
        Graceshut gs = Graceshut.install(Options.builder().exit(Options.Exit.MANUAL).report("none").build());
        InFlight work = gs.inFlight();
        Runnable ours = () -> {
            if (!work.tryEnter()) {
                throw new IllegalStateException("refused");
            }
            work.leave();
        };
        ByteBuffer words = ByteBuffer.allocateDirect(64 * 1024).order(ByteOrder.nativeOrder());
        Phaser phaser = new Phaser(1);
        Runnable theirs = peer.equals("phaser") ? () -> {
            phaser.register();
            phaser.arriveAndDeregister();
        } : () -> {
            INT.getAndAdd(words, 1024, 1);
            INT.getAndAdd(words, 2048, 1);
        };
        List<Double> a = new ArrayList<>();
        List<Double> b = new ArrayList<>();
        for (int i = 0; i < 12; i++) {
            double x = timed(threads, ours);
            double y = timed(threads, theirs);
            if (i >= 3) { // compiled by then
                a.add(x);
                b.add(y);
            }
        }
        System.out.println("{\"ours\": " + a + ", \"peer\": " + b + "}");
        gs.close();
    }

    /** Prints the wall time at its last act, then leaves. */
    private static void leave(String mode) throws Exception {
        if (mode.equals("graceshut")) {
            Graceshut gs = Graceshut.install(Options.builder().grace(Duration.ofSeconds(10)).build());
            gs.hook(Phase.FINAL, "stamp", ctx -> last());
            System.out.println("ready");
            gs.await();
        } else {
            handle("TERM", () -> {
                last();
                System.exit(0);
            });
            System.out.println("ready");
            Thread.sleep(60_000);
        }
    }

    private static void last() {
        System.out.printf("last %.0f%n", wallUs());
        System.out.flush();
    }

    /** The JVM waits for a loop without a safepoint poll for about two seconds. */
    private static void stuck(String mode, String pid) throws Exception {
        if (mode.equals("graceshut")) {
            Graceshut gs = Graceshut.install(Options.builder().grace(Duration.ofSeconds(10)).build());
            gs.declare("{\"phase\": \"drain\", \"name\": \"back\", \"signal\": {\"pid\": " + pid + ", \"signal\": \"USR1\"}}");
        } else {
            handle("TERM", () -> System.out.printf("handled %.0f%n", wallUs()));
        }
        CountDownLatch in = new CountDownLatch(1);
        Thread spinner = new Thread(() -> {
            for (int i = 0; i < 20_000; i++) {
                sink += spin(2000);
            }
            in.countDown();
            sink += spin(800_000_000);
        });
        spinner.setDaemon(true);
        spinner.start();
        in.await();
        Thread gc = new Thread(() -> {
            System.out.println("ready");
            System.gc();
        });
        gc.setDaemon(true);
        gc.start();
        Thread.sleep(30_000);
    }

    private static double spin(int n) {
        double x = sink;
        for (int i = 0; i < n; i++) {
            x = x * 1.0000001 + i;
        }
        return x;
    }

    private static void handle(String name, Runnable f) throws ReflectiveOperationException {
        Class<?> signal = Class.forName("sun.misc.Signal");
        Class<?> handler = Class.forName("sun.misc.SignalHandler");
        InvocationHandler call = (proxy, method, a) -> {
            f.run();
            return null;
        };
        Object proxy = Proxy.newProxyInstance(Bench.class.getClassLoader(), new Class<?>[] {handler}, call);
        signal.getMethod("handle", signal, handler).invoke(null, signal.getConstructor(String.class).newInstance(name), proxy);
    }
}
