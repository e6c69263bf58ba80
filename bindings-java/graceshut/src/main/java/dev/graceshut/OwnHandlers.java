package dev.graceshut;

import com.sun.jna.Function;
import com.sun.jna.Memory;
import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;
import com.sun.jna.Pointer;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/**
 * Handlers that the program set with {@code sun.misc.Signal} before the install. The kernel shows the JVM's one function for them
 * and for its own exit alike, and ours replaces it; the JVM's own exit must not begin then, but a handler of the program is to
 * hear of its signal as before (spec 3.5, 6.6).
 *
 * <p>Only {@code Signal.handle} tells what was there, by setting another one: it is set and put back at once, and what comes in
 * between is handed on. It is asked only where the kernel's handler is the JVM's.
 */
final class OwnHandlers {
    private static final Map<String, Integer> STOPPING = Map.of("HUP", 1, "INT", 2, "TERM", 15);
    /** What Signal.handle answers for a handler of the JVM itself. */
    private static final String OF_THE_JVM = "sun.misc.Signal$SunMiscHandler";

    private OwnHandlers() {}

    /** The number of a signal that stops; 0 for another one. */
    static int number(String name) {
        return STOPPING.getOrDefault(name, 0);
    }

    /** Numbers of the signals that the program handles itself. */
    static List<Integer> find() {
        List<Integer> own = new ArrayList<>();
        new LinkedHashMap<>(STOPPING).forEach((name, signo) -> {
            try {
                if (isOfTheJvm(signo) && isOwn(name)) {
                    own.add(signo);
                }
            } catch (ReflectiveOperationException | RuntimeException | UnsatisfiedLinkError e) {
                // -Xrs, an inherited SIG_IGN, or a runtime without jdk.unsupported: then there is none
            }
        });
        return own;
    }

    private static boolean isOwn(String name) throws ReflectiveOperationException {
        Class<?> signal = Class.forName("sun.misc.Signal");
        Class<?> type = Class.forName("sun.misc.SignalHandler");
        Object sig = signal.getConstructor(String.class).newInstance(name);
        Method set = signal.getMethod("handle", signal, type);
        CompletableFuture<Object> found = new CompletableFuture<>();
        Object between = Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, (proxy, method, args) -> {
            if (method.getName().equals("handle")) {
                return handOn(type, found.get(), args);
            }
            return method.getName().equals("equals") ? proxy == args[0] : method.getName().equals("hashCode") ? (Object) 0 : "between";
        });
        Object before = set.invoke(null, sig, between);
        set.invoke(null, sig, before);
        found.complete(before);
        return before != type.getField("SIG_DFL").get(null) && before != type.getField("SIG_IGN").get(null)
                && !before.getClass().getName().equals(OF_THE_JVM);
    }

    private static Object handOn(Class<?> type, Object to, Object[] args) throws ReflectiveOperationException {
        try {
            return type.getMethod("handle", Class.forName("sun.misc.Signal")).invoke(to, args);
        } catch (InvocationTargetException e) {
            EventLog.unexpected("a signal handler of the program", e.getCause());
            return null;
        }
    }

    /** Whether the kernel's handler lies in libjvm, by sigaction and dladdr. */
    private static boolean isOfTheJvm(int signo) {
        NativeLibrary process = NativeLibrary.getProcess();
        Function sigaction = process.getFunction("sigaction");
        try (Memory action = new Memory(256); Memory info = new Memory(4L * Native.POINTER_SIZE)) {
            action.clear();
            info.clear();
            if (sigaction.invokeInt(new Object[] {signo, null, action}) != 0) {
                return false;
            }
            Pointer handler = action.getPointer(0);
            if (Pointer.nativeValue(handler) <= 1 || process.getFunction("dladdr").invokeInt(new Object[] {handler, info}) == 0) {
                return false;
            }
            return info.getPointer(0).getString(0).endsWith("libjvm.so");
        }
    }
}
