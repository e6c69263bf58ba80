package dev.graceshut;

/** What can be said about a server beside its listener. Immutable: each method answers another one. */
public final class ListenerOptions {
    private static final ListenerOptions NONE = new ListenerOptions("server", () -> {});

    final String name;
    final Served.Close refuse;

    private ListenerOptions(String name, Served.Close refuse) {
        this.name = name;
        this.refuse = refuse;
    }

    /** Nothing said: a hook named {@code server}. */
    public static ListenerOptions none() {
        return NONE;
    }

    /** A hook of that name. */
    public static ListenerOptions named(String name) {
        return new ListenerOptions(GraceshutException.text(name, "name"), NONE.refuse);
    }

    /** Called at the start of {@code drain}, where the server itself has to be told that it answers 503 from now on. */
    public ListenerOptions refuse(Served.Close refuse) {
        if (refuse == null) {
            throw new GraceshutException(ErrorKind.NULL, "refuse is null");
        }
        return new ListenerOptions(name, refuse);
    }
}
