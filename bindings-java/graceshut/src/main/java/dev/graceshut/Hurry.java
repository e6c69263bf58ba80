package dev.graceshut;

import java.time.Duration;
import java.util.regex.Pattern;

/**
 * Which trigger asks to wait no longer for a program that is stopping by itself (spec 6.6): a signal that leaves at once, or one
 * that the program sent itself. Another that is accepted after the plan is the program's alone.
 *
 * <p>Events may be delivered long after what they tell of: that of the first trigger comes when a plan without hooks is already
 * over. So a trigger is judged by what its event says, by the time in it and by its place among the events, which have the order
 * in which things happened. Used by the thread of the events alone.
 */
final class Hurry {
    /** A signal so soon after an accepted one is a duplicate (spec 7.1); a later duplicate was sent by the program itself. */
    private static final Duration DUPLICATE = Duration.ofMillis(500);
    /** Of the signals that can be told to stop; other triggers have words, or nothing, in this place. */
    private static final Pattern SIGNAL = Pattern.compile("HUP|INT|QUIT|TERM|USR1|USR2|PWR|RTM(IN|AX)([+-]\\d+)?");

    private boolean planIsOver;
    private Duration accepted;

    /** Takes every event, in order; true when this one asks for hurry. */
    boolean asks(Event e) {
        if (e.event().equals("finished")) {
            planIsOver = true;
        }
        if (!e.event().equals("trigger") || !SIGNAL.matcher(e.message()).matches()) {
            return false;
        }
        switch (e.outcome()) {
            case "duplicate":
                return accepted != null && e.at().minus(accepted).compareTo(DUPLICATE) >= 0;
            case "ignored":
                return false;
            case "recorded":
                accepted = e.at();
                return false;
            default:
                accepted = e.at();
                return planIsOver;
        }
    }
}
