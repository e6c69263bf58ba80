package hosts;

import dev.graceshut.Graceshut;
import dev.graceshut.Options;
import dev.graceshut.Phase;
import java.time.Duration;

/** What every program here adds for graceshut. */
final class Gs {
    static final boolean WITH = System.getenv("WITH") != null;
    static final int PORT = Integer.parseInt(System.getenv("PORT"));

    static Graceshut install() {
        var gs = Graceshut.install(Options.builder().grace(Duration.ofSeconds(8)).build());
        gs.hook(Phase.FLUSH, "flush", ctx -> System.out.println("hook flush"));
        return gs;
    }

    private Gs() {}
}
