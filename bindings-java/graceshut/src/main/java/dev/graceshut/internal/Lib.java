package dev.graceshut.internal;

import com.sun.jna.Callback;
import com.sun.jna.CallbackThreadInitializer;
import com.sun.jna.Native;
import com.sun.jna.Pointer;

/** graceshut.h, as far as Java needs it. Not part of the API: the package is not exported. */
public final class Lib {
    public static final int OK = 0;
    public static final int CANCELLED = -1;
    public static final int FAILED = 1;
    public static final int HOOK_OPTIONAL = 1;
    public static final int HOOK_IN_HOST = 2;
    public static final int CHAIN_ALWAYS = 1;
    public static final int CAME = 1;
    public static final int BUSY = 2;
    public static final long FOREVER = -1;
    /** {@code GRACESHUT_ABI_VERSION} of the header this was written against. */
    private static final int ABI = 1;

    static {
        Native.register(Lib.class, Library.load());
        int found = graceshut_abi_version();
        if (found != ABI) {
            throw new UnsatisfiedLinkError("libgraceshut has ABI " + found + ", this jar needs " + ABI + ": use one version of both");
        }
    }

    private Lib() {}

    /** Begins a hook; owns the completion. */
    public interface StartFn extends Callback {
        void invoke(Pointer completion, Pointer id);
    }

    /** The soft deadline of a hook. */
    public interface CancelFn extends Callback {
        void invoke(Pointer id);
    }

    /** One reload. */
    public interface ReloadFn extends Callback {
        int invoke(Pointer id);
    }

    /** One event. */
    public interface EventFn extends Callback {
        void invoke(Pointer json, Pointer id);
    }

    /**
     * Threads of graceshut that enter Java are daemons there (a JVM waits for others when main returns), and are detached after
     * each call: a JVM that exits waits up to 300 ms for attached threads that stand in native code.
     */
    public static <T extends Callback> T attached(T callback, String name) {
        Native.setCallbackThreadInitializer(callback, new CallbackThreadInitializer(true, true, name));
        return callback;
    }

    /** A number as user data. */
    public static Pointer id(long id) {
        return new Pointer(id);
    }

    /** A string that the library gave away. Null stays null. */
    public static String take(Pointer text) {
        if (text == null) {
            return null;
        }
        try {
            return text.getString(0, "UTF-8");
        } finally {
            graceshut_string_free(text);
        }
    }

    public static native int graceshut_install(Pointer options, Pointer out);
    public static native int graceshut_uninstall(Pointer gs);
    public static native int graceshut_ready(Pointer gs);
    public static native int graceshut_set_serving(Pointer gs, int serving);
    public static native int graceshut_stop(Pointer gs, String reason, long graceUs);
    public static native int graceshut_wait(Pointer gs, long timeoutUs, Pointer code);
    public static native int graceshut_state(Pointer gs);
    public static native Pointer graceshut_phase(Pointer gs);
    public static native Pointer graceshut_report_json(Pointer gs);
    public static native Pointer graceshut_plan_text(Pointer gs);
    public static native Pointer graceshut_config_json(Pointer gs);
    public static native Pointer graceshut_status(Pointer gs);
    public static native int graceshut_on_reload(Pointer gs, String name, ReloadFn f, Pointer id, Pointer destroy);
    public static native int graceshut_on_event(Pointer gs, EventFn f, Pointer id, Pointer destroy);
    public static native int graceshut_host_end(Pointer gs, String error, int code);
    public static native int graceshut_warn(Pointer gs, String message);
    public static native int graceshut_rearm(Pointer gs, int signo, int chain);
    public static native int graceshut_made_to_leave(Pointer gs);
    public static native int graceshut_set_own_handler(Pointer gs, int signo, int has);
    public static native int graceshut_hook_start(
            Pointer gs, String phase, String name, StartFn f, Pointer id, Pointer destroy, Pointer options, Pointer out);
    public static native int graceshut_hook_json(Pointer gs, String json, Pointer out);
    public static native int graceshut_remove(Pointer gs, int id, Pointer out);

    public static native long graceshut_ctx_remaining_us(Pointer ctx);
    public static native int graceshut_ctx_cancelled(Pointer ctx);
    public static native long graceshut_ctx_extend(Pointer ctx, long moreUs);
    public static native int graceshut_ctx_signal(Pointer ctx);
    public static native Pointer graceshut_ctx_reason(Pointer ctx);
    public static native Pointer graceshut_ctx_abandoned(Pointer ctx);
    public static native int graceshut_ctx_log(Pointer ctx, String message);
    public static native int graceshut_ctx_progress(Pointer ctx, long done, long total);
    public static native int graceshut_ctx_on_cancel(Pointer ctx, CancelFn f, Pointer id, Pointer destroy);
    public static native int graceshut_ctx_begin(Pointer ctx);
    public static native Pointer graceshut_completion_context(Pointer completion);
    public static native int graceshut_completion_finish(Pointer completion, int code, String message);
    public static native int graceshut_ctx_propose_exit(Pointer ctx, int status);

    public static native Pointer graceshut_inflight_page(String group);
    public static native void graceshut_inflight_wake();

    public static native Pointer graceshut_linger_new(long remainingUs, int flags);
    public static native int graceshut_linger_step(Pointer linger, int seen, int[] listeners, long count);
    public static native void graceshut_linger_free(Pointer linger);
    public static native long graceshut_listeners(short port, int[] listeners, long room);

    public static native Pointer graceshut_last_error();
    public static native Pointer graceshut_error_name(int code);
    public static native void graceshut_string_free(Pointer text);
    public static native Pointer graceshut_version();
    public static native int graceshut_abi_version();
}
