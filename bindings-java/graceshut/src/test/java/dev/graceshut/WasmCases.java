package dev.graceshut;

import static dev.graceshut.BadInput.check;
import static dev.graceshut.BadInput.fails;

import dev.graceshut.internal.Json;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** WebAssembly hooks. What they mean is tested in wasm/ and in every language by conformance; here: Java's way to say it. */
final class WasmCases {
    private WasmCases() {}

    /** {@code deregister} wants http granted, and fails in words without its configuration. */
    static void run(Path deregister) throws Exception {
        Graceshut gs = Graceshut.install(Options.builder().grace(Duration.ofSeconds(20)).exit(Options.Exit.MANUAL).report("none").build());
        Wasm bare = Wasm.file(deregister);
        Wasm some = bare.http("PUT 127.0.0.1:9").env("A", "1").arg("-v").dir("/in", Path.of("/tmp")).memory(1 << 20);
        fails(ErrorKind.BAD_VALUE, "http = [\"PUT 127.0.0.1:8500\"]", () -> gs.wasm(Phase.FLUSH, "x", bare));
        fails(ErrorKind.BAD_CONFIG, "name", () -> gs.wasm(Phase.FLUSH, "", some));
        fails(ErrorKind.OS, "nowhere.wasm", () -> gs.wasm(Phase.FLUSH, "x", Wasm.file("nowhere.wasm")));
        fails(ErrorKind.BAD_VALUE, "/nowhere", () -> gs.wasm(Phase.FLUSH, "x", some.writableDir("/out", Path.of("/nowhere"))));
        fails(ErrorKind.BAD_CONFIG, "PUT 127.0.0.1:8500", () -> gs.wasm(Phase.FLUSH, "x", bare.http("127.0.0.1:80")));
        fails(ErrorKind.BAD_TIME, "timeout", () -> gs.wasm(Phase.FLUSH, "x", some, HookOptions.timeout(Duration.ZERO)));
        fails(ErrorKind.UNKNOWN_PHASE, "flsh", () -> gs.wasm("flsh", "x", some));
        fails(ErrorKind.NULL, "module", () -> gs.wasm(Phase.FLUSH, "x", null));
        fails(ErrorKind.NULL, "file", () -> Wasm.file((Path) null));
        fails(ErrorKind.NULL, "env", () -> bare.env(null, "1"));
        gs.wasm(Phase.FLUSH, "first", some, HookOptions.timeout(Duration.ofSeconds(4)));
        gs.wasm(Phase.FLUSH, "other", some.config("url", "nonsense"), HookOptions.none().after("first").optional());
        gs.wasm(Phase.CLOSE, "removed", some).remove();
        gs.stop("test");
        gs.await(Duration.ofSeconds(30));
        Map<String, String> said = new TreeMap<>();
        for (Object phase : (List<?>) Json.readObject(gs.report().orElseThrow()).get("phases")) {
            for (Object hook : (List<?>) ((Map<?, ?>) phase).get("hooks")) {
                Map<?, ?> h = (Map<?, ?>) hook;
                if ("wasm".equals(h.get("kind"))) {
                    said.put((String) h.get("name"), h.get("outcome") + " " + h.get("message"));
                }
            }
        }
        check(said.keySet().equals(java.util.Set.of("first", "other")), said.toString());
        check(said.get("first").equals("failed returned 2: config.url is missing"), said.toString());
        check(said.get("other").startsWith("failed ") && !said.get("other").contains("missing"), said.toString());
        gs.close();
        System.out.println("passed");
    }
}
