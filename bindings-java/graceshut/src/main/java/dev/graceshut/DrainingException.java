package dev.graceshut;

/** Work was refused: the process is draining. Answer 503 and {@code Connection: close}, or let somebody else take it. */
public final class DrainingException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    DrainingException() {
        super("work is refused: the process is draining");
    }
}
