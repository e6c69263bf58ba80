package dev.graceshut;

/** Names of the default plan, in order. A phase of the configuration is named by its own string. */
public final class Phase {
    /** Readiness turns red, deregister, tell long-lived clients to move. */
    public static final String ANNOUNCE = "announce";
    /** Stop taking work, wait for what is in flight. */
    public static final String DRAIN = "drain";
    /** Write buffers, commit offsets, save state. */
    public static final String FLUSH = "flush";
    /** Pools, files, children; one at a time, last registered first. */
    public static final String CLOSE = "close";
    /** Telemetry, logs, the last words. */
    public static final String FINAL = "final";

    private Phase() {}
}
