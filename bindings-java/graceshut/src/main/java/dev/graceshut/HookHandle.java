package dev.graceshut;

/** A registered hook. Any thread. */
public final class HookHandle {
    /** What {@link #remove()} found. */
    public enum Removal {
        /** Taken out: it will not run. */
        REMOVED,
        /** Too late: it runs. */
        RUNNING,
        /** Too late: it has ended, or was removed before. */
        DONE
    }

    private final Graceshut gs;
    private final int id;
    private final long registration;

    HookHandle(Graceshut gs, int id, long registration) {
        this.gs = gs;
        this.id = id;
        this.registration = registration;
    }

    /** Its number, unique within one install. */
    public int id() {
        return id;
    }

    /**
     * Takes the hook out, unless it is too late.
     *
     * @throws GraceshutException {@code closed}
     */
    public Removal remove() {
        return gs.remove(id, registration);
    }
}
