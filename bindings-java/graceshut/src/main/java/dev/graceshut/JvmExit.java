package dev.graceshut;

import dev.graceshut.internal.Lib;
import java.time.Duration;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * Where the JVM's exit and the plan meet (spec 2.6, 6.5, 8.6; embedding E35 to E37).
 *
 * <ul>
 *   <li>A daemon thread waits in the library, in native state, for the end of the plan and then calls System.exit: neither the
 *       engine nor the watchdog ever attaches, and a JVM that cannot come to a safepoint delays nobody but itself.
 *   <li>One shutdown hook joins the phases when the JVM began to exit by itself: main has returned and no thread that counts is
 *       left, or somebody called System.exit. It never calls System.exit, which would wait for it.
 *   <li>System.exit inside a hook: that hook has ended. Its thread cannot come back from there, so it is parked until the plan
 *       is over, and the JVM goes on exiting then.
 * </ul>
 */
final class JvmExit {
    /** How often threads inside hooks are looked at while the JVM exits. */
    private static final long LOOK_MS = 10;
    /** What a thread on its way into await() is given to get there when the plan is over (spec 6.5). */
    private static final long ON_THE_WAY_MS = 50;

    private final Graceshut gs;
    private final boolean manual;
    private final CountDownLatch over = new CountDownLatch(1);
    /** Threads in await(), and those that came back from it to leave; its own monitor guards it. */
    private final Set<Thread> awaiting = new HashSet<>();
    private final Join join = new Join();
    private volatile int code;
    private volatile GraceshutException closed;
    /** The JVM has begun to exit. */
    private volatile boolean leaving;
    /** Signals that the program handles itself. */
    private final Set<Integer> own = ConcurrentHashMap.newKeySet();
    private final Hurry asking = new Hurry();
    /** The program is not waited for any longer. */
    private volatile boolean hurry;

    JvmExit(Graceshut gs, boolean manual) {
        this.gs = gs;
        this.manual = manual;
    }

    void start() {
        ExitStatus.prepare(this::exitBegins);
        if (!manual) {
            MainThread.watch();
            try {
                Runtime.getRuntime().addShutdownHook(join);
            } catch (IllegalStateException e) {
                leaving = true; // installed while the JVM exits: nothing to join any more
            }
        }
        Thread thread = new Thread(this::follow, "graceshut-exit");
        thread.setDaemon(true);
        thread.start();
    }

    /** After an uninstall. */
    void stop() {
        try {
            Runtime.getRuntime().removeShutdownHook(join);
        } catch (IllegalStateException e) {
            // The JVM exits: the hook finds a closed runtime and does nothing.
        }
    }

    private void follow() {
        try {
            code = decided(Lib.FOREVER);
        } catch (GraceshutException e) {
            closed = e;
        }
        if (closed == null) {
            gs.letEventsArrive();
        }
        gs.completeAll();
        over.countDown();
        if (closed == null && !manual && !leaving) {
            try {
                letLeave();
            } catch (InterruptedException e) {
                // nobody has reason to; leaving a little early is what it asks for
            }
            System.exit(code);
        }
    }

    /** The decided status; waits for the end of the plan, {@code micros} at most. */
    private int decided(long micros) {
        try (com.sun.jna.Memory out = new com.sun.jna.Memory(4)) {
            GraceshutException.check(Lib.graceshut_wait(gs.handle(), micros, out));
            return out.getInt(0);
        }
    }

    void own(int signo) {
        own.add(signo);
    }

    /** Takes every event, in order, on the thread of the events: one may ask to wait for the program no longer. */
    void heard(Event event) {
        if (asking.asks(event)) {
            synchronized (awaiting) {
                hurry = true;
                awaiting.notifyAll();
            }
        }
    }

    /**
     * Whoever waited in await() leaves by itself, as main does by returning; the watchdog ends what never leaves (spec 6.5). A
     * program that handles the signal itself is given its time (spec 6.6).
     */
    private void letLeave() throws InterruptedException {
        Set<Thread> leavers = leavers(TimeUnit.MILLISECONDS.toNanos(ON_THE_WAY_MS));
        if (leavers.isEmpty() && !leaving) {
            long time = ByItself.time(gs, own);
            leavers = leavers(time);
            if (time > 0 && leavers.isEmpty() && !leaving) {
                Lib.graceshut_made_to_leave(gs.handle());
                code = decided(0); // 0 has become 1 where that cut something
            }
        }
        for (Thread thread : leavers) {
            thread.join();
        }
    }

    /** Threads in await(), as soon as there is one; at the latest after {@code nanos}, or when the JVM exits. */
    private Set<Thread> leavers(long nanos) throws InterruptedException {
        long until = System.nanoTime() + nanos;
        synchronized (awaiting) {
            while (awaiting.isEmpty() && !leaving && !hurry && System.nanoTime() < until) {
                TimeUnit.NANOSECONDS.timedWait(awaiting, until - System.nanoTime());
            }
            return Set.copyOf(awaiting);
        }
    }

    /** Waits for the end of the plan; the decided status. */
    int await(Duration limit) throws InterruptedException {
        if (HookRun.current() != null) {
            throw new GraceshutException(ErrorKind.WRONG_THREAD, "await inside a hook would wait for itself; use ctx.remaining()");
        }
        Thread me = Thread.currentThread();
        synchronized (awaiting) {
            awaiting.add(me);
            awaiting.notifyAll();
        }
        boolean ended = false;
        try {
            if (limit == null) {
                over.await();
                ended = true;
            } else {
                ended = over.await(Micros.of(limit, "limit"), TimeUnit.MICROSECONDS);
            }
        } finally {
            if (!ended) {
                synchronized (awaiting) {
                    awaiting.remove(me);
                }
            }
        }
        if (!ended) {
            throw new GraceshutException(ErrorKind.TIMEOUT, "the shutdown is not over yet");
        }
        if (closed != null) {
            throw new GraceshutException(closed.kind(), closed.getMessage());
        }
        return code;
    }

    /**
     * System.exit was called, and the JVM has not begun with it (from Java 21 on): the phases run now, on their threads, and the
     * shutdown hooks of others, which close logs and pools, run after them. A hook's own call is {@link Join}'s matter.
     */
    private void exitBegins(int status) {
        if (manual || closed != null || HookRun.current() != null || over.getCount() == 0) {
            return;
        }
        leaving = true;
        if (gs.state() == Graceshut.State.ARMED) {
            Lib.graceshut_host_end(gs.handle(), MainThread.uncaught(), status);
        }
        untilOver();
    }

    private void untilOver() {
        boolean interrupted = false;
        while (true) {
            try {
                if (over.await(LOOK_MS, TimeUnit.MILLISECONDS)) {
                    break;
                }
            } catch (InterruptedException e) {
                interrupted = true; // the soft deadline of a hook that is parked here
            }
            containBlocked();
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    /** System.exit is under way and holds its lock: another hook that calls it never gets here, and is found by its stack. */
    private void containBlocked() {
        for (Map.Entry<Thread, HookRun> e : HookRun.inside().entrySet()) {
            if (e.getKey() != Thread.currentThread() && e.getKey().getState() == Thread.State.BLOCKED && isExiting(e.getKey())) {
                exitedInside(e.getValue(), e.getKey());
            }
        }
    }

    /** The JVM's shutdown hook. */
    private final class Join extends Thread {
        private volatile boolean contains;
        /** What the JVM leaves with; null before Java 21, where nobody can see it. */
        private volatile Integer status;

        Join() {
            super("graceshut-join");
        }

        /** Called by the JVM, on the thread that called System.exit. */
        @Override
        public void start() {
            leaving = true;
            synchronized (awaiting) {
                awaiting.notifyAll();
            }
            status = ExitStatus.of(Thread.currentThread());
            HookRun hook = HookRun.current();
            if (hook != null) {
                contains = true;
                exitedInside(hook, Thread.currentThread());
                untilOver();
            }
            super.start();
        }

        @Override
        public void run() {
            if (contains || closed != null) {
                return;
            }
            if (gs.state() == Graceshut.State.ARMED) {
                String error = MainThread.uncaught();
                Lib.graceshut_warn(gs.handle(), "the JVM began the exit: its other shutdown hooks ran beside the phases");
                Lib.graceshut_host_end(gs.handle(), error, status != null ? status : error == null ? 0 : 1);
            } else if (gs.state() == Graceshut.State.STOPPING) {
                Lib.graceshut_warn(gs.handle(), "the JVM began to exit during the shutdown: its other shutdown hooks ran beside the phases");
            }
            untilOver();
        }
    }

    private static boolean isExiting(Thread thread) {
        StackTraceElement[] stack = thread.getStackTrace();
        return stack.length > 0 && stack[0].getClassName().equals("java.lang.Shutdown") && stack[0].getMethodName().equals("exit");
    }

    private void exitedInside(HookRun hook, Thread thread) {
        Integer status = ExitStatus.of(thread);
        if (status == null) {
            Lib.graceshut_warn(gs.handle(), "System.exit was called inside the hook " + hook.phase() + "/" + hook.name()
                    + "; its status cannot be seen on this Java: the hook is taken for ok, and the process leaves with that status");
        }
        hook.exited(status);
    }
}
