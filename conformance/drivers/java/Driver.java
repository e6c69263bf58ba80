import com.sun.jna.NativeLibrary;
import dev.graceshut.DrainingException;
import dev.graceshut.ErrorKind;
import dev.graceshut.Event;
import dev.graceshut.Graceshut;
import dev.graceshut.GraceshutException;
import dev.graceshut.Guard;
import dev.graceshut.HookContext;
import dev.graceshut.HookHandle;
import dev.graceshut.HookOptions;
import dev.graceshut.InFlight;
import dev.graceshut.Options;
import dev.graceshut.Reason;
import dev.graceshut.Wasm;
import dev.graceshut.internal.Json; // to read the scenario; no part of the API
import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.atomic.AtomicBoolean;

/** Plays conformance scenarios through the public API of dev.graceshut. See ../../README.md. */
public final class Driver {
    private static final List<String> KINDS = List.of("exec", "http", "delay", "inflight", "signal");
    private static final List<String> FOR_MAIN = List.of("return", "exit", "raise", "hold");

    private final FileOutputStream out;
    private final Map<String, Object> scenario;
    private final Map<String, HookHandle> handles = new ConcurrentHashMap<>();
    private final Map<String, Guard> units = new ConcurrentHashMap<>();
    private final BlockingQueue<Map<String, Object>> forMain = new LinkedBlockingQueue<>();
    private volatile Graceshut gs;

    private Driver(Map<String, Object> scenario) throws IOException {
        this.scenario = scenario;
        out = new FileOutputStream("/proc/self/fd/" + System.getenv("CONFORMANCE_TRACE_FD"));
    }

    public static void main(String[] args) throws Exception {
        new Driver(Json.readObject(Files.readString(Path.of(System.getenv("CONFORMANCE_SCENARIO"))))).run();
    }

    // ---- the trace

    /** One line, one write. */
    private void trace(String what, String name, Object... fields) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("what", what);
        if (name != null) {
            line.put("name", name);
        }
        for (int i = 0; i < fields.length; i += 2) {
            line.put((String) fields[i], fields[i + 1]);
        }
        try {
            out.write((Json.write(line) + "\n").getBytes(StandardCharsets.UTF_8));
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    private void traceError(String name, ErrorKind kind) {
        trace("error", name, "kind", kind.word());
    }

    /** Something that graceshut may refuse. */
    private interface Attempt {
        void run() throws Exception;
    }

    private boolean attempt(String name, Attempt f) throws Exception {
        try {
            f.run();
            return true;
        } catch (GraceshutException e) {
            traceError(name, e.kind());
            return false;
        }
    }

    /** Where acts run: in a hook, or in main or the control thread, then without a context. */
    private final class Place {
        final String hook;
        final HookContext ctx;
        private final AtomicBoolean told = new AtomicBoolean();

        Place(String hook, HookContext ctx) {
            this.hook = hook;
            this.ctx = ctx;
        }

        void tellCancel() {
            if (told.compareAndSet(false, true)) {
                trace("cancel", hook);
            }
        }

        void begin() {
            Reason reason = ctx.reason();
            trace("start", hook, "phase", ctx.phase(), "context_name", ctx.name(), "reason", reason.kind(),
                    "signal", orNull(reason.signal()), "message", orNull(reason.message()),
                    "remaining_us", ctx.remaining().map(Driver::micros).orElse(null), "cancelled", ctx.isCancelled(),
                    "abandoned", ctx.abandoned());
        }

        void end(String how, String message) {
            trace("end", hook, "how", how, "message", message);
        }
    }

    private static String orNull(String s) {
        return s.isEmpty() ? null : s;
    }

    private static long micros(Duration d) {
        return d.toNanos() / 1000;
    }

    // ---- acts

    private void play(Object acts, Place place) throws Exception {
        for (Object act : (List<?>) acts) {
            act(object(act), place);
        }
    }

    @SuppressWarnings("unchecked") // keys of JSON objects are strings
    private static Map<String, Object> object(Object value) {
        return (Map<String, Object>) value;
    }

    private static long number(Map<String, Object> act, String key) {
        return ((Number) act.get(key)).longValue();
    }

    private static String text(Map<String, Object> act, String key) {
        return (String) act.get(key);
    }

    private InFlight group(Map<String, Object> act) {
        String name = text(act, "group");
        return name == null ? gs.inFlight() : gs.inFlight(name);
    }

    private void act(Map<String, Object> act, Place place) throws Exception {
        String word = text(act, "do");
        switch (word) {
            case "mark" -> trace("mark", text(act, "name"));
            case "sleep", "sleep_through", "until_cancelled" -> pause(word, number(act, "ms"), place);
            case "never" -> pause("sleep_through", 3_600_000, place);
            case "spin" -> spin(number(act, "ms"));
            case "block" -> NativeLibrary.getInstance("c").getFunction("usleep").invokeInt(new Object[] {(int) (number(act, "ms") * 1000)});
            case "fail" -> throw new IllegalStateException(text(act, "message"));
            case "cancelled" -> throw new InterruptedException();
            case "exit" -> {
                trace("exit", null);
                if (place.ctx != null) {
                    place.end("exit", null);
                }
                System.exit((int) number(act, "code"));
            }
            case "fatal" -> {
                trace("fatal", null);
                if (text(act, "how").equals("abort")) {
                    NativeLibrary.getInstance("c").getFunction("abort").invokeVoid(new Object[0]);
                }
                Runtime.getRuntime().halt(4);
            }
            case "stop" -> {
                trace("stop", null);
                attempt("stop", () -> {
                    if (act.get("grace_ms") == null) {
                        gs.stop(text(act, "reason"));
                    } else {
                        gs.stop(text(act, "reason"), Duration.ofMillis(number(act, "grace_ms")));
                    }
                });
            }
            case "register" -> {
                Map<String, Object> hook = object(act.get("hook"));
                if (add(hook)) {
                    trace("registered", text(hook, "name"));
                }
            }
            case "remove" -> {
                String name = text(act, "name");
                attempt(name, () -> trace("removed", name, "answer", handles.get(name).remove().name().toLowerCase(Locale.ROOT)));
            }
            case "extend" -> trace("extended", place.hook, "granted_us", micros(place.ctx.extend(Duration.ofMillis(number(act, "ms")))));
            case "progress" -> place.ctx.progress(number(act, "done"), number(act, "total"));
            case "log" -> place.ctx.log(text(act, "message"));
            case "remaining" -> trace("remaining", place.hook, "us", place.ctx.remaining().map(Driver::micros).orElse(null));
            case "caught" -> trace("caught", text(act, "name"), "value", caught());
            case "abandoned" -> trace("abandoned", place.hook, "names", place.ctx.abandoned());
            case "enter" -> {
                try {
                    units.put(text(act, "as"), group(act).track());
                    trace("entered", text(act, "as"));
                } catch (DrainingException e) {
                    trace("refused", text(act, "as"));
                }
            }
            case "part" -> {
                units.put(text(act, "as"), units.get(text(act, "of")).enter());
                trace("entered", text(act, "as"));
            }
            case "leave" -> {
                trace("left", text(act, "of"));
                units.get(text(act, "of")).close();
            }
            case "count" -> trace("count", null, "value", group(act).count());
            case "word" -> trace("word", null, "value", gs.isDraining() ? 2 : gs.isStopping() ? 1 : 0);
            case "state" -> trace("state", gs.state().name().toLowerCase(Locale.ROOT));
            case "ready" -> gs.ready();
            case "install" -> attempt("install", () -> {
                gs = install(act.get("options") == null ? scenario.get("options") : act.get("options"));
                trace("installed", null);
            });
            case "uninstall" -> attempt("uninstall", () -> {
                gs.uninstall();
                trace("uninstalled", null);
            });
            case "handle" -> sun.misc.Signal.handle(new sun.misc.Signal("TERM"), signal -> {
                trace("handled", null);
                if (act.get("ms") != null) {
                    pauseUninterrupted(number(act, "ms"));
                    forMain.add(Map.of("do", "return"));
                }
            });
            case "wait" -> attempt("wait", gs::await);
            default -> throw new IllegalArgumentException("unknown act " + word);
        }
    }

    private static void pauseUninterrupted(long ms) {
        try {
            Thread.sleep(ms);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static void spin(long ms) {
        long until = System.nanoTime() + ms * 1_000_000;
        while (System.nanoTime() < until) {
            Thread.onSpinWait();
        }
    }

    /** Sleeps; what an interrupt means depends on the word. */
    private void pause(String word, long ms, Place place) throws InterruptedException {
        long until = System.nanoTime() + ms * 1_000_000;
        boolean sees = place.ctx != null && !word.equals("sleep_through");
        while (System.nanoTime() < until) {
            boolean interrupted = sees && place.ctx.isCancelled();
            try {
                if (!interrupted) {
                    Thread.sleep(Math.max(1, (until - System.nanoTime()) / 1_000_000));
                }
            } catch (InterruptedException e) {
                interrupted = true;
            }
            if (interrupted && place.ctx != null) {
                place.tellCancel();
                if (word.equals("sleep")) {
                    throw new InterruptedException();
                }
                if (word.equals("until_cancelled")) {
                    return;
                }
            }
        }
    }

    private static String caught() throws IOException {
        return Files.readAllLines(Path.of("/proc/self/status")).stream().filter(l -> l.startsWith("SigCgt")).findFirst().orElseThrow();
    }

    // ---- hooks

    private boolean add(Map<String, Object> spec) throws Exception {
        String name = text(spec, "name");
        return attempt(name, () -> handles.put(name, register(spec)));
    }

    private HookHandle register(Map<String, Object> spec) {
        String phase = text(spec, "phase");
        String name = text(spec, "name");
        String kind = KINDS.stream().filter(spec::containsKey).findFirst().orElse(null);
        if (kind != null) {
            Map<String, Object> declared = new LinkedHashMap<>();
            for (String key : List.of("phase", "name", "after", "optional", kind)) {
                declared.put(key, spec.get(key));
            }
            if (spec.get("timeout_ms") != null) {
                declared.put("timeout", number(spec, "timeout_ms") * 1000);
            }
            return gs.declare(Json.write(declared));
        }
        HookOptions options = optionsOf(spec);
        if (spec.get("wasm") instanceof Map<?, ?> module) {
            return gs.wasm(phase, name, moduleOf(module), options);
        }
        if ("async".equals(spec.get("form"))) {
            return gs.hookAsync(phase, name, ctx -> new Steps(spec, ctx), options);
        }
        return gs.hook(phase, name, ctx -> body(spec, ctx), options);
    }

    private static Wasm moduleOf(Map<?, ?> spec) {
        Wasm module = Wasm.file((String) spec.get("path"));
        for (Object grant : spec.get("http") instanceof List<?> grants ? grants : List.of()) {
            module = module.http((String) grant);
        }
        for (Object arg : spec.get("args") instanceof List<?> args ? args : List.of()) {
            module = module.arg((String) arg);
        }
        for (String key : List.of("env", "config", "dirs")) {
            for (Map.Entry<?, ?> e : (spec.get(key) instanceof Map<?, ?> texts ? texts : Map.of()).entrySet()) {
                String name = (String) e.getKey();
                String value = (String) e.getValue();
                module = switch (key) {
                    case "env" -> module.env(name, value);
                    case "config" -> module.config(name, value);
                    default -> value.endsWith(":rw") ? module.writableDir(name, Path.of(value.substring(0, value.length() - 3)))
                            : module.dir(name, Path.of(value));
                };
            }
        }
        if (spec.get("memory") instanceof Number bytes) {
            module = module.memory(bytes.longValue());
        }
        if (spec.get("fuel") instanceof Number units) {
            module = module.fuel(units.longValue());
        }
        module = Boolean.TRUE.equals(spec.get("clock")) ? module.clock() : module;
        return Boolean.TRUE.equals(spec.get("random")) ? module.random() : module;
    }

    private static HookOptions optionsOf(Map<String, Object> spec) {
        HookOptions options = spec.get("timeout_ms") == null ? HookOptions.none()
                : HookOptions.timeout(Duration.ofMillis(number(spec, "timeout_ms")));
        List<String> after = new ArrayList<>();
        ((List<?>) spec.get("after")).forEach(n -> after.add((String) n));
        options = options.after(after.toArray(String[]::new));
        return Boolean.TRUE.equals(spec.get("optional")) ? options.optional() : options;
    }

    private void body(Map<String, Object> spec, HookContext ctx) throws Exception {
        Place place = new Place(text(spec, "name"), ctx);
        place.begin();
        ctx.onCancel(place::tellCancel);
        try {
            play(spec.get("steps"), place);
        } catch (InterruptedException e) {
            place.end("cancelled", null);
            throw e;
        } catch (Exception e) {
            place.end("failed", e.getMessage());
            throw e;
        }
        place.end("ok", null);
    }

    /** The steps on a thread of their own; cancelling interrupts it, and they say themselves how they end. */
    private final class Steps extends CompletableFuture<Void> {
        private final Thread thread;

        Steps(Map<String, Object> spec, HookContext ctx) {
            thread = new Thread(() -> {
                try {
                    body(spec, ctx);
                    complete(null);
                } catch (Throwable t) {
                    completeExceptionally(t);
                }
            });
            thread.setDaemon(true);
            thread.start();
        }

        @Override
        public boolean cancel(boolean mayInterrupt) {
            thread.interrupt();
            return false;
        }
    }

    // ---- main

    private static Graceshut install(Object options) {
        return Graceshut.install(Options.builder().json(Json.write(options)).build());
    }

    private void onEvent(Event e) {
        if (((List<?>) scenario.get("watch_events")).contains(e.event())) {
            trace("event", e.event(), "hook", orNull(e.hook()), "message", orNull(e.message()), "done", e.value() < 0 ? null : e.value(),
                    "total", e.total());
        }
    }

    private void readControl() {
        try (BufferedReader in = new BufferedReader(new InputStreamReader(
                new FileInputStream("/proc/self/fd/" + System.getenv("CONFORMANCE_CONTROL_FD")), StandardCharsets.UTF_8))) {
            for (String line = in.readLine(); line != null; line = in.readLine()) {
                Map<String, Object> act = Json.readObject(line);
                if (FOR_MAIN.contains(text(act, "do"))) {
                    forMain.add(act);
                } else {
                    act(act, new Place(null, null));
                }
            }
        } catch (Exception e) {
            e.printStackTrace();
        }
    }

    private void idle() throws Exception {
        while (true) {
            Map<String, Object> act = forMain.take();
            switch (text(act, "do")) {
                case "return" -> {
                    trace("return", null);
                    return;
                }
                case "raise" -> {
                    trace("raise", null);
                    throw new IllegalStateException(text(act, "message"));
                }
                default -> act(act, new Place(null, null));
            }
        }
    }

    private void run() throws Exception {
        try {
            gs = install(scenario.get("options"));
        } catch (GraceshutException e) {
            traceError("install", e.kind());
            System.exit(3);
        }
        if (!((List<?>) scenario.get("watch_events")).isEmpty()) {
            gs.onEvent(this::onEvent);
        }
        for (Object reload : (List<?>) scenario.get("reloads")) {
            String name = text(object(reload), "name");
            gs.onReload(name, () -> {
                trace("reload", name);
                play(object(reload).get("steps"), new Place(null, null));
                return null;
            });
        }
        for (Object hook : (List<?>) scenario.get("hooks")) {
            add(object(hook));
        }
        Thread control = new Thread(this::readControl, "control");
        control.setDaemon(true);
        control.start();
        play(scenario.get("before"), new Place(null, null));
        trace("ready", null);
        if ("idle".equals(scenario.get("main"))) {
            idle();
            return;
        }
        int code = gs.await();
        trace("waited", null, "code", code);
        play(scenario.get("after_wait"), new Place(null, null));
        System.exit(code);
    }
}
