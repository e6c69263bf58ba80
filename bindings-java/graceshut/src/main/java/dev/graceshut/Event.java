package dev.graceshut;

import dev.graceshut.internal.Json;
import java.time.Duration;
import java.util.Map;

/**
 * Something that happened in a shutdown.
 *
 * @param event trigger, phase_start, phase_end, hook_start, hook_cancel, hook_end, deadline, progress, log, reload, handler,
 *     status or finished
 * @param at since the trigger
 * @param phase its phase, empty where there is none
 * @param hook its hook, empty where there is none
 * @param outcome how it ended or what is done, empty where it says nothing
 * @param message words, empty without any
 * @param value microseconds of a budget or deadline, what is done (progress), the exit status (finished); -1 without one
 * @param total of how many (progress); 0 unknown
 */
public record Event(
        String event, Duration at, String phase, String hook, String outcome, String message, long value, long total) {
    static Event of(String json) {
        Map<String, Object> map = Json.readObject(json);
        return new Event(text(map, "event"), Micros.from(number(map, "at_us", 0)), text(map, "phase"), text(map, "hook"),
                text(map, "outcome"), text(map, "message"), number(map, "value", -1), number(map, "total", 0));
    }

    private static String text(Map<String, Object> map, String key) {
        return map.get(key) instanceof String s ? s : "";
    }

    private static long number(Map<String, Object> map, String key, long otherwise) {
        return map.get(key) instanceof Number n ? n.longValue() : otherwise;
    }
}
