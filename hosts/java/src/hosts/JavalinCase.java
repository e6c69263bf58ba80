package hosts;

import dev.graceshut.servlet.GraceshutFilter;
import io.javalin.Javalin;
import jakarta.servlet.DispatcherType;
import java.util.EnumSet;
import org.eclipse.jetty.servlet.FilterHolder;

public class JavalinCase {
    public static void main(String[] args) throws Exception {
        if (!Gs.WITH) {
            var app = routes(Javalin.create()).start("127.0.0.1", Gs.PORT);
            Runtime.getRuntime().addShutdownHook(new Thread(app::stop));
            return;
        }
        var gs = Gs.install();
        var filter = new GraceshutFilter(gs);
        var app = routes(Javalin.create(config -> config.jetty.modifyServletContextHandler(context ->
                context.addFilter(new FilterHolder(filter), "/*", EnumSet.of(DispatcherType.REQUEST)))));
        filter.stop("javalin", app::stop);
        app.start("127.0.0.1", Gs.PORT);
        System.exit(gs.await());
    }

    private static Javalin routes(Javalin app) {
        return app.get("/", ctx -> ctx.result("ok\n")).post("/", ctx -> ctx.result("ok\n"));
    }
}
