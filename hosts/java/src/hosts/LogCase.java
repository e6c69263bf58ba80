package hosts;

import dev.graceshut.Phase;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/** Log4j's own shutdown hook stops logging; a hook's line has to be there all the same when the program ends by gs.stop(). */
public class LogCase {
    private static final Logger LOG = LogManager.getLogger("case");

    public static void main(String[] args) throws Exception {
        if (!Gs.WITH) {
            LOG.error("done 1");
            System.exit(0);
        }
        var gs = Gs.install();
        gs.hook(Phase.FLUSH, "log", ctx -> LOG.error("hook log"));
        LOG.error("done 1");
        if (args[0].equals("stop")) {
            gs.stop("the work is done");
            System.exit(gs.await());
        }
        System.exit(0);
    }
}
