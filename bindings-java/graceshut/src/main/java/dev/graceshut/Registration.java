package dev.graceshut;

import com.sun.jna.Pointer;
import dev.graceshut.internal.Lib;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;

/**
 * A hook until it is started, kept by number: what the library is given is never an address of ours. There is no destroy
 * callback, because that may come on the engine's thread, which never enters Java.
 *
 * @param hook or null
 * @param async or null
 * @param loader the class loader of whoever registered it
 */
record Registration(long id, String phase, String name, Hook hook, AsyncHook async, ClassLoader loader) {
    private static final Map<Long, Registration> WAITING = new ConcurrentHashMap<>();
    private static final AtomicLong NEXT = new AtomicLong(1);
    static final Lib.StartFn START = Lib.attached(Registration::start, "graceshut-hook");

    static Registration add(String phase, String name, Hook hook, AsyncHook async) {
        ClassLoader loader = Thread.currentThread().getContextClassLoader();
        Registration r = new Registration(NEXT.getAndIncrement(), phase, name, hook, async, loader);
        WAITING.put(r.id, r);
        return r;
    }

    static void forget(long id) {
        WAITING.remove(id);
    }

    private static void start(Pointer completion, Pointer id) {
        try {
            Registration r = WAITING.remove(Pointer.nativeValue(id));
            if (r != null) {
                HookRun.start(r, completion);
            } else {
                Lib.graceshut_completion_finish(completion, Lib.CANCELLED, null); // removed in this very moment
            }
        } catch (Throwable t) {
            EventLog.unexpected("starting a hook", t);
        }
    }
}
