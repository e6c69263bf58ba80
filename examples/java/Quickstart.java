import dev.graceshut.Graceshut;
import dev.graceshut.HookOptions;
import dev.graceshut.Options;
import dev.graceshut.Phase;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;

public class Quickstart {
    public static void main(String[] args) throws InterruptedException {
        try (var gs = Graceshut.install(Options.builder().grace(Duration.ofSeconds(10)).build())) {
            gs.hook(Phase.DRAIN, "server",
                    ctx -> System.out.printf("no new work; %.1f s to finish what is there%n", ctx.remaining().get().toMillis() / 1e3),
                    HookOptions.timeout(Duration.ofSeconds(4)));
            gs.hookAsync(Phase.FLUSH, "buffers",
                    ctx -> CompletableFuture.runAsync(() -> System.out.println("buffers written")));

            System.out.println("ready: press Ctrl-C");
            gs.await(); // until a signal came and every phase is over
        }
    }
}
