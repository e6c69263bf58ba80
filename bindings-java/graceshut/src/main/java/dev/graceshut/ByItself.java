package dev.graceshut;

import dev.graceshut.internal.Json;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;

/** Whether a program may leave by itself when its plan is over, and for how long it is waited for (spec 6.6). */
final class ByItself {
    private ByItself() {}

    /**
     * Nanoseconds from now to the deadline; 0 where the program is not waited for: after another trigger than a signal, after a
     * plan that was cut, where it handles no signal itself.
     */
    static long time(Graceshut gs, Set<Integer> own) {
        Map<String, Object> report = gs.report().map(Json::readObject).orElse(Map.of());
        if (!(report.get("reason") instanceof Map<?, ?> reason) || !"signal".equals(reason.get("kind"))
                || "forced".equals(report.get("outcome"))) {
            return 0;
        }
        Object leave = Json.readObject(gs.config()).get("leave") instanceof Map<?, ?> said ? said.get("value") : "at_once";
        int signo = OwnHandlers.number(String.valueOf(reason.get("signal")));
        boolean may = "by_itself".equals(leave) || "auto".equals(leave) && own.contains(signo);
        if (!may || !(report.get("budget_us") instanceof Number budget) || !(report.get("used_us") instanceof Number used)) {
            return 0;
        }
        return Math.max(0, TimeUnit.MICROSECONDS.toNanos(budget.longValue() - sinceTrigger(report, used.longValue())));
    }

    /** With what has passed since the plan was over; not, where the clock on the wall was set meanwhile. */
    private static long sinceTrigger(Map<String, Object> report, long used) {
        long now = TimeUnit.MILLISECONDS.toMicros(System.currentTimeMillis());
        long since = report.get("triggered_at_us") instanceof Number at ? now - at.longValue() : used;
        return since >= used && since < used + 1_000_000 ? since : used;
    }
}
