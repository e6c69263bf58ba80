package dev.graceshut;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Which of the events, in the order of what happened, make a program leave that may leave by itself (spec 6.6). */
class HurryTest {
    private static final Event FINISHED = new Event("finished", Duration.ofMillis(1), "", "", "clean", "", 0, 0);

    private static Event trigger(long ms, String message, String outcome) {
        return new Event("trigger", Duration.ofMillis(ms), "", "", outcome, message, -1, 0);
    }

    private static List<Boolean> asked(Event... events) {
        Hurry hurry = new Hurry();
        return Stream.of(events).map(hurry::asks).toList();
    }

    @Test
    void notASecondSignalAfterThePlanButOneThatLeavesAtOnce() {
        assertEquals(List.of(false, false, false), asked(trigger(0, "TERM", "started"), FINISHED, trigger(700, "INT", "recorded")));
        assertEquals(List.of(false, false, true), asked(trigger(0, "TERM", "started"), FINISHED, trigger(700, "TERM", "left")));
    }

    @Test
    void notTheFirstSignalAfterAPreStop() {
        assertEquals(List.of(false, false, false), asked(trigger(0, "", "started"), trigger(700, "TERM", "recorded"), FINISHED));
    }

    @Test
    void notADuplicate() {
        assertEquals(List.of(false, false, false), asked(trigger(0, "TERM", "started"), FINISHED, trigger(20, "TERM", "duplicate")));
    }

    @Test
    void notAnIgnoredOne() {
        assertEquals(List.of(false, false, false), asked(trigger(0, "TERM", "started"), FINISHED, trigger(700, "TERM", "ignored")));
    }

    @Test
    void whatTheProgramSendsItself() {
        assertEquals(List.of(false, true, false), asked(trigger(0, "TERM", "started"), trigger(700, "TERM", "duplicate"), FINISHED));
        assertEquals(List.of(false, false, true), asked(trigger(0, "TERM", "started"), FINISHED, trigger(700, "TERM", "duplicate")));
    }

    @Test
    void notAStopInWords() {
        assertEquals(List.of(false, false, false), asked(trigger(0, "TERM", "started"), FINISHED, trigger(20, "my own stop", "recorded")));
    }
}
