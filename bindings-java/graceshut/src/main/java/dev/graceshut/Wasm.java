package dev.graceshut;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A WebAssembly module and what its guest may; everything else is denied. Immutable: each method answers another one. What a
 * grant means is in docs/wasm-hooks.md, and judged by {@link Graceshut#wasm(String, String, Wasm, HookOptions)}.
 */
public final class Wasm {
    /** The {@code wasm} key of a {@code [[hook]]} table. */
    final Map<String, Object> values;

    private Wasm(Map<String, Object> values) {
        this.values = values;
    }

    /** The module in this file, with no grants. */
    public static Wasm file(Path file) {
        return new Wasm(Map.of("path", text(file == null ? null : file.toString(), "file")));
    }

    /** As {@link #file(Path)}. */
    public static Wasm file(String file) {
        return new Wasm(Map.of("path", text(file, "file")));
    }

    /** The guest sees the variable {@code name} with this value. */
    public Wasm env(String name, String value) {
        return entry("env", name, value);
    }

    /** An argument after the hook's name, which is always the first. */
    public Wasm arg(String arg) {
        return item("args", text(arg, "arg"));
    }

    /** The guest reads the folder {@code host} under the name {@code guest}. No link and no {@code ..} leads out of it. */
    public Wasm dir(String guest, Path host) {
        return entry("dirs", guest, text(host == null ? null : host.toString(), "host") + ":ro");
    }

    /** As {@link #dir(String, Path)}, and it may write there. */
    public Wasm writableDir(String guest, Path host) {
        return entry("dirs", guest, text(host == null ? null : host.toString(), "host") + ":rw");
    }

    /** Requests with these methods to this host: {@code "PUT 127.0.0.1:8500"}, {@code "GET,DELETE registry.internal:80"}. */
    public Wasm http(String grant) {
        return item("http", text(grant, "http"));
    }

    /** The guest may read the clocks. */
    public Wasm clock() {
        return with("clock", true);
    }

    /** The guest may have random numbers. */
    public Wasm random() {
        return with("random", true);
    }

    /** A text the guest reads by {@code context_read("config.KEY")}. */
    public Wasm config(String key, String value) {
        return entry("config", key, value);
    }

    /** Most memory in bytes, 64 KiB to 4 GiB; 16 MiB by default. */
    public Wasm memory(long bytes) {
        return with("memory", bytes);
    }

    /** A second cap beside time: about one unit an instruction. */
    public Wasm fuel(long units) {
        return with("fuel", units);
    }

    private static String text(String value, String what) {
        return GraceshutException.text(value, what);
    }

    private Wasm with(String key, Object value) {
        Map<String, Object> all = new LinkedHashMap<>(values);
        all.put(key, value);
        return new Wasm(all);
    }

    private Wasm entry(String key, String name, String value) {
        Map<Object, Object> all = new LinkedHashMap<>(values.get(key) instanceof Map<?, ?> m ? m : Map.of());
        all.put(text(name, key), text(value, key + " " + name));
        return with(key, all);
    }

    private Wasm item(String key, String value) {
        List<Object> all = new ArrayList<>(values.get(key) instanceof List<?> l ? l : List.of());
        all.add(value);
        return with(key, all);
    }
}
