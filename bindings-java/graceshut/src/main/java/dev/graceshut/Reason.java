package dev.graceshut;

/**
 * Why the process stops: the record of the first trigger.
 *
 * @param kind {@code "signal"}, {@code "stop"}, {@code "host_end"} or {@code "uncaught"}
 * @param signo the signal's number, 0 for another kind
 * @param message the words given to {@link Graceshut#stop(String)}, or the error's own; empty without any
 */
public record Reason(String kind, int signo, String message) {
    /** As graceshut.h gives it: {@code "kind"} or {@code "kind: message"}. */
    static Reason of(String text, int signo) {
        int colon = text.indexOf(": ");
        return colon < 0 ? new Reason(text, signo, "") : new Reason(text.substring(0, colon), signo, text.substring(colon + 2));
    }

    /** The signal's name, as in {@code "TERM"}; empty for another kind. */
    public String signal() {
        return switch (signo) {
            case 0 -> "";
            case 1 -> "HUP";
            case 2 -> "INT";
            case 3 -> "QUIT";
            case 10 -> "USR1";
            case 12 -> "USR2";
            case 15 -> "TERM";
            case 30 -> "PWR";
            default -> Integer.toString(signo);
        };
    }

    /** {@code "SIGTERM"}, {@code "stop: words"}, {@code "host_end"}. */
    @Override
    public String toString() {
        return signo != 0 ? "SIG" + signal() : message.isEmpty() ? kind : kind + ": " + message;
    }
}
