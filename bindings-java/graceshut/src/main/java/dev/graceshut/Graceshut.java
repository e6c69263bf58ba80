package dev.graceshut;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import dev.graceshut.internal.Json;
import dev.graceshut.internal.Lib;
import dev.graceshut.internal.Warnings;
import java.net.ServerSocket;
import java.nio.channels.NetworkChannel;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/**
 * The one runtime of this process: SIGTERM, SIGINT and SIGHUP start a plan of phases that runs inside one deadline.
 *
 * <pre>{@code
 * try (var gs = Graceshut.install(Options.builder().grace(Duration.ofSeconds(25)).build())) {
 *     gs.hook(Phase.DRAIN, "server", ctx -> server.stop());
 *     gs.hook(Phase.CLOSE, "pool", ctx -> pool.close(), HookOptions.timeout(Duration.ofSeconds(3)));
 *     gs.await();
 * }
 * }</pre>
 *
 * <p>Any thread, unless a method says otherwise. Nothing blocks but what says so. Errors are {@link GraceshutException}.
 */
public final class Graceshut implements AutoCloseable {
    /** Where the process is in its life. */
    public enum State {
        /** Uninstalled. */
        IDLE,
        /** Waiting for a trigger. */
        ARMED,
        /** Phases are running. */
        STOPPING,
        /** Every phase is over. */
        STOPPED
    }

    private static final Lib.EventFn EVENT = Lib.attached(Graceshut::event, "graceshut-events");
    private static final Lib.ReloadFn RELOAD = Lib.attached(Graceshut::reload, "graceshut-reload");
    private static final Map<Long, Callable<?>> RELOADS = new ConcurrentHashMap<>();
    private static final long TELL_LIMIT_MS = 250;

    private static volatile Graceshut current;

    private final Pointer gs;
    private final InFlight work = new InFlight(null);
    private final Map<String, InFlight> groups = new ConcurrentHashMap<>();
    private final CompletableFuture<Void> stopping = new CompletableFuture<>();
    private final CompletableFuture<Void> draining = new CompletableFuture<>();
    private final List<Consumer<Event>> listeners = new CopyOnWriteArrayList<>();
    private final CountDownLatch told = new CountDownLatch(1);
    private final boolean logEvents;
    private final boolean manual;
    private final JvmExit exit;

    private Graceshut(Pointer gs, boolean logEvents) {
        this.gs = gs;
        this.logEvents = logEvents;
        this.manual = Json.readObject(config()).get("exit") instanceof Map<?, ?> m && "manual".equals(m.get("value"));
        this.exit = new JvmExit(this, manual);
    }

    /** As {@link #install(Options)}, with nothing said. */
    public static Graceshut install() {
        return install(Options.defaults());
    }

    /**
     * Installs signal handlers and threads; armed when it returns. A second call answers the same runtime if its options agree.
     * Blocks for the making of a few threads.
     *
     * @throws GraceshutException bad_config, bad_time, bad_value, bad_plan, plan_does_not_fit, disagree, unsupported, os: nothing
     *     is installed then
     * @throws UnsatisfiedLinkError when the native library cannot be loaded; the message names the next step
     */
    public static synchronized Graceshut install(Options options) {
        if (options == null) {
            throw new GraceshutException(ErrorKind.NULL, "options is null");
        }
        Graceshut known = current().orElse(null);
        List<Integer> own = known == null ? OwnHandlers.find() : List.of();
        Pointer handle = NativeInstall.install(options);
        if (known != null && known.state() != State.IDLE) {
            return known;
        }
        Graceshut made = new Graceshut(handle, options.logEvents);
        current = made;
        Warnings.to(message -> Lib.graceshut_warn(handle, message));
        GraceshutException.check(Lib.graceshut_on_event(handle, EVENT, null, null));
        own.forEach(made::hearsToo);
        made.exit.start();
        return made;
    }

    /** What is installed in this process. */
    public static Optional<Graceshut> current() {
        return Optional.ofNullable(current).filter(gs -> gs.state() != State.IDLE);
    }

    /** The library's version. */
    public static String version() {
        return Lib.graceshut_version().getString(0, "UTF-8");
    }

    Pointer handle() {
        return gs;
    }

    // ---- hooks ----

    /** As {@link #hook(String, String, Hook, HookOptions)}, with nothing said. */
    public HookHandle hook(String phase, String name, Hook hook) {
        return hook(phase, name, hook, HookOptions.none());
    }

    /**
     * Registers a hook, also inside a hook and during the shutdown, then into the running or a later phase.
     *
     * @throws GraceshutException unknown_phase, too_late, cycle, bad_time, bad_value, null, closed
     */
    public HookHandle hook(String phase, String name, Hook hook, HookOptions options) {
        return register(phase, name, required(hook, "hook"), null, options);
    }

    /** As {@link #hookAsync(String, String, AsyncHook, HookOptions)}, with nothing said. */
    public HookHandle hookAsync(String phase, String name, AsyncHook hook) {
        return hookAsync(phase, name, hook, HookOptions.none());
    }

    /** Registers a hook that ends with the stage it returns. Otherwise as {@link #hook(String, String, Hook, HookOptions)}. */
    public HookHandle hookAsync(String phase, String name, AsyncHook hook, HookOptions options) {
        return register(phase, name, null, required(hook, "hook"), options);
    }

    private HookHandle register(String phase, String name, Hook hook, AsyncHook async, HookOptions options) {
        GraceshutException.text(phase, "phase");
        GraceshutException.text(name, "name");
        required(options, "options");
        Registration r = Registration.add(phase, name, hook, async);
        try (NativeHookOptions o = new NativeHookOptions(options); Memory id = new Memory(4)) {
            GraceshutException.check(Lib.graceshut_hook_start(gs, phase, name, Registration.START, Lib.id(r.id()), null, o.at(), id));
            return new HookHandle(this, id.getInt(0), r.id());
        } catch (RuntimeException e) {
            Registration.forget(r.id());
            throw e;
        }
    }

    /**
     * Registers a hook that needs no code, as {@code [[hook]]} in graceshut.toml: an object with "phase", optionally "name",
     * "timeout", "after", "optional", and one of "exec", "http", "delay", "inflight", "signal". It runs in its phase even while
     * the JVM is stuck.
     *
     * @throws GraceshutException bad_config, unsupported, and those of {@link #hook(String, String, Hook, HookOptions)}
     */
    public HookHandle declare(String json) {
        try (Memory id = new Memory(4)) {
            GraceshutException.check(Lib.graceshut_hook_json(gs, GraceshutException.text(json, "json"), id));
            return new HookHandle(this, id.getInt(0), 0);
        }
    }

    /** As {@link #wasm(String, String, Wasm, HookOptions)}, with nothing said. */
    public HookHandle wasm(String phase, String name, Wasm module) {
        return wasm(phase, name, module, HookOptions.none());
    }

    /**
     * Registers a WebAssembly module: sandboxed, stopped for real at its deadline, run even while the JVM is stuck. Reads and
     * checks the file (milliseconds), and compiles it in the background.
     *
     * @throws GraceshutException bad_value for what is wrong with the module or a grant, os for what cannot be read, bad_config,
     *     unsupported with a library built without it, and those of {@link #hook(String, String, Hook, HookOptions)}
     */
    public HookHandle wasm(String phase, String name, Wasm module, HookOptions options) {
        Map<String, Object> hook = new LinkedHashMap<>();
        hook.put("phase", GraceshutException.text(phase, "phase"));
        hook.put("name", GraceshutException.text(name, "name"));
        required(options, "options");
        if (options.timeout != null) {
            hook.put("timeout", Micros.positive(options.timeout, "timeout"));
        }
        if (!options.after.isEmpty()) {
            hook.put("after", options.after);
        }
        hook.put("optional", options.optional);
        hook.put("wasm", required(module, "module").values);
        return declare(Json.write(hook));
    }

    /** As {@link #listener(NetworkChannel, Served.Close, ListenerOptions)}, with nothing said. */
    public Served listener(NetworkChannel listener, Served.Close close) {
        return listener(listener, close, ListenerOptions.none());
    }

    /**
     * A server that has no adapter, stopped without losing a request (spec 9.4, 9.5): every unit of its work goes through
     * {@link Served#enter()}, and {@code close} closes the listener when that cuts nobody off. Says that this process accepts
     * connections, and registers a hook in {@code drain}.
     *
     * @param listener a ServerSocketChannel or AsynchronousServerSocketChannel, bound before {@code drain}
     * @param close closes it; work in flight is waited for afterwards
     * @throws GraceshutException null, too_late, closed
     */
    public Served listener(NetworkChannel listener, Served.Close close, ListenerOptions options) {
        required(listener, "listener");
        return new Served(this, () -> Served.port(listener.getLocalAddress()), false, close, options);
    }

    /** As {@link #listener(ServerSocket, Served.Close, ListenerOptions)}, with nothing said. */
    public Served listener(ServerSocket listener, Served.Close close) {
        return listener(listener, close, ListenerOptions.none());
    }

    /** As {@link #listener(NetworkChannel, Served.Close, ListenerOptions)}. */
    public Served listener(ServerSocket listener, Served.Close close, ListenerOptions options) {
        required(listener, "listener");
        return new Served(this, () -> Served.port(listener.getLocalSocketAddress()), false, close, options);
    }

    /** As {@link #listener(int, Served.Close, ListenerOptions)}, with nothing said. */
    public Served listener(int port, Served.Close close) {
        return listener(port, close, ListenerOptions.none());
    }

    /**
     * As {@link #listener(NetworkChannel, Served.Close, ListenerOptions)}, for a server that keeps its socket to itself.
     *
     * @param port the TCP port this process listens on; the socket is found in the kernel at the start of {@code drain}
     * @param close the server's own stop, which may cut what is in flight: it is called when nothing is, at the latest at the
     *     hook's soft deadline
     */
    public Served listener(int port, Served.Close close, ListenerOptions options) {
        if (port < 1 || port > 65535) {
            throw new GraceshutException(ErrorKind.BAD_VALUE, "port is " + port + ": the one the server listens on, 1 to 65535");
        }
        return new Served(this, () -> port, true, close, options);
    }

    HookHandle.Removal remove(int id, long registration) {
        try (Memory out = new Memory(4)) {
            GraceshutException.check(Lib.graceshut_remove(gs, id, out));
            HookHandle.Removal removal = HookHandle.Removal.values()[out.getInt(0)];
            if (removal == HookHandle.Removal.REMOVED) {
                Registration.forget(registration);
            }
            return removal;
        }
    }

    /**
     * Registers a reload hook: with one, SIGHUP reloads instead of stopping. One reload at a time, in order of registration, on
     * a daemon thread; may block; what it throws is the reload's failure.
     */
    public void onReload(String name, Callable<?> reload) {
        GraceshutException.text(name, "name");
        long id = RELOADS.size() + 1L;
        synchronized (RELOADS) {
            while (RELOADS.putIfAbsent(id, required(reload, "reload")) != null) {
                id++;
            }
        }
        int code = Lib.graceshut_on_reload(gs, name, RELOAD, Lib.id(id), null);
        if (code != Lib.OK) {
            RELOADS.remove(id);
        }
        GraceshutException.check(code);
    }

    private static int reload(Pointer id) {
        try {
            RELOADS.get(Pointer.nativeValue(id)).call();
            return Lib.OK;
        } catch (Throwable t) {
            EventLog.unexpected("a reload hook", t);
            return Lib.FAILED;
        }
    }

    // ---- the shutdown ----

    /** As {@link #stop(String, Duration)}, with the grace of the configuration. */
    public void stop(String reason) {
        stop(reason, 0);
    }

    /**
     * Starts the shutdown, or shortens the one under way; also inside a hook. {@code reason} goes to report and hooks.
     *
     * @param grace from now, 200 ms to 366 days
     * @throws GraceshutException bad_time, closed
     */
    public void stop(String reason, Duration grace) {
        stop(reason, Micros.positive(grace, "grace"));
    }

    private void stop(String reason, long us) {
        GraceshutException.check(Lib.graceshut_stop(gs, reason == null ? null : GraceshutException.text(reason, "reason"), us));
    }

    /** Ends an install that began with {@link Options.Builder#hold(boolean)}: what came meanwhile takes effect. */
    public void ready() {
        GraceshutException.check(Lib.graceshut_ready(gs));
    }

    /** Says whether this process accepts connections, should that change after the install. */
    public void setServing(boolean serving) {
        GraceshutException.check(Lib.graceshut_set_serving(gs, serving ? 1 : 0));
    }

    /**
     * Blocks until every phase is over and the report is written; answers the decided exit status. Whoever waits here is the one
     * who leaves: return from main, or call System.exit. The watchdog ends a process in which nobody does.
     *
     * @throws GraceshutException wrong_thread inside a hook, closed
     * @throws InterruptedException when this thread is interrupted
     */
    public int await() throws InterruptedException {
        return exit.await(null);
    }

    /**
     * As {@link #await()}, at most this long.
     *
     * @throws GraceshutException timeout, when the limit passed first
     */
    public int await(Duration limit) throws InterruptedException {
        return exit.await(required(limit, "limit"));
    }

    /** Where the process is in its life. */
    public State state() {
        return State.values()[Lib.graceshut_state(gs)];
    }

    /** The phase that runs; empty when none does. */
    public Optional<String> phase() {
        return Optional.ofNullable(Lib.take(Lib.graceshut_phase(gs)));
    }

    /** The report as JSON; empty before every phase is over. */
    public Optional<String> report() {
        return Optional.ofNullable(Lib.take(Lib.graceshut_report_json(gs)));
    }

    /** The schedule as a table for people, best and worst case. */
    public String plan() {
        return Lib.take(Lib.graceshut_plan_text(gs));
    }

    /** The effective configuration as JSON, each value with its origin. */
    public String config() {
        return Lib.take(Lib.graceshut_config_json(gs));
    }

    /** The state in one line for people. */
    public String status() {
        return Lib.take(Lib.graceshut_status(gs));
    }

    // ---- work in flight ----

    /** Work in flight without a group name. */
    public InFlight inFlight() {
        return work;
    }

    /** A named group, made when first asked for. @throws GraceshutException bad_value for more than 64 */
    public InFlight inFlight(String group) {
        return groups.computeIfAbsent(GraceshutException.text(group, "group"), InFlight::new);
    }

    /** As {@link InFlight#tryEnter()}. */
    public boolean tryEnter() {
        return work.tryEnter();
    }

    /** As {@link InFlight#leave()}. */
    public void leave() {
        work.leave();
    }

    /** As {@link InFlight#enter()}. */
    public Guard enter() {
        return work.enter();
    }

    /** As {@link InFlight#track()}. */
    public Guard track() {
        return work.track();
    }

    /** True from the trigger on: readiness turns red, work is served on. */
    public boolean isStopping() {
        return work.isStopping();
    }

    /** True from the start of {@code drain} on: new work is refused. */
    public boolean isDraining() {
        return work.isDraining();
    }

    /** Completes with the trigger, on the thread of the events. */
    public CompletableFuture<Void> stopping() {
        return stopping.copy();
    }

    /** Completes with the start of {@code drain}, on the thread of the events. */
    public CompletableFuture<Void> draining() {
        return draining.copy();
    }

    /**
     * The last event gets a moment to reach listeners and logging, before the JVM stops both: where somebody listens, or a hook
     * had something to say, or not all is well. A clean end without those waits for no logger.
     */
    void letEventsArrive() {
        if (listeners.isEmpty() && !EventLog.hasWords() && report().orElse("").contains("\"outcome\":\"clean\"")) {
            return;
        }
        try {
            told.await(TELL_LIMIT_MS, TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    void completeAll() {
        stopping.complete(null);
        draining.complete(null);
    }

    // ---- events ----

    /** Calls {@code listener} for every event from now on, one at a time, on a thread of its own; it may block. */
    public void onEvent(Consumer<Event> listener) {
        listeners.add(required(listener, "listener"));
    }

    private static void event(Pointer json, Pointer id) {
        try {
            Graceshut gs = current;
            if (gs != null) {
                gs.tell(Event.of(json.getString(0, "UTF-8")));
            }
        } catch (Throwable t) {
            EventLog.unexpected("an event", t);
        }
    }

    /** The program handles that signal itself: its handler hears of it as well, and may leave by itself. */
    private void hearsToo(int signo) {
        Lib.graceshut_rearm(gs, signo, Lib.CHAIN_ALWAYS); // not_installed where graceshut does not take this signal
        Lib.graceshut_set_own_handler(gs, signo, 1);
        exit.own(signo);
    }

    private void tell(Event event) {
        if (work.isStopping()) {
            stopping.complete(null);
        }
        if (work.isDraining()) {
            draining.complete(null);
        }
        if (event.event().equals("handler") && event.outcome().equals("repaired")) {
            // sun.misc.Signal.handle came after us: what it replaced is no longer what would begin the JVM's own exit, so both act.
            hearsToo((int) event.value());
        }
        exit.heard(event);
        for (Consumer<Event> listener : listeners) {
            try {
                listener.accept(event);
            } catch (Throwable t) {
                EventLog.unexpected("an event listener", t);
            }
        }
        Runnable after = event.event().equals("finished") ? told::countDown : () -> {};
        if (logEvents) {
            EventLog.say(event, after);
        } else {
            after.run();
        }
    }

    // ---- the end ----

    /**
     * Ends the install, if no shutdown is under way or (with {@link Options.Exit#MANUAL}) when it is over: previous handlers back,
     * threads ended, everything here {@code closed}. Blocks for at most about 1 s.
     *
     * @throws GraceshutException closed; too_late while stopping; wrong_thread inside a hook
     */
    public void uninstall() {
        if (HookRun.current() != null) {
            throw new GraceshutException(ErrorKind.WRONG_THREAD, "uninstall inside a hook; call it after await");
        }
        GraceshutException.check(Lib.graceshut_uninstall(gs));
        exit.stop();
    }

    /** {@link #uninstall()} where it is possible, else nothing: a shutdown goes on. A second call does nothing. */
    @Override
    public void close() {
        State state = state();
        if (state == State.ARMED || manual && state == State.STOPPED) {
            try {
                uninstall();
            } catch (GraceshutException e) {
                if (e.kind() != ErrorKind.TOO_LATE && e.kind() != ErrorKind.CLOSED) {
                    throw e;
                }
            }
        }
    }

    private static <T> T required(T value, String what) {
        if (value == null) {
            throw new GraceshutException(ErrorKind.NULL, what + " is null");
        }
        return value;
    }
}
