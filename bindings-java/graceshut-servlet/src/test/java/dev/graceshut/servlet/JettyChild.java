package dev.graceshut.servlet;

import dev.graceshut.Graceshut;
import dev.graceshut.Options;
import jakarta.servlet.AsyncContext;
import jakarta.servlet.DispatcherType;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.time.Duration;
import java.util.EnumSet;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.eclipse.jetty.ee10.servlet.FilterHolder;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;

/**
 * Jetty with the filter, for the test: /work answers after 20 ms, /async as an asynchronous servlet does, /events sends events
 * without an end, /poll answers never.
 */
public final class JettyChild {
    private JettyChild() {}

    public static void main(String[] args) throws Exception {
        Graceshut gs = Graceshut.install(Options.builder().grace(Duration.ofSeconds(10)).build());
        Server server = new Server(Integer.parseInt(System.getenv("PORT")));
        server.setStopTimeout(1000);
        ServletContextHandler context = new ServletContextHandler("/");
        FilterHolder filter = new FilterHolder(
                new GraceshutFilter(gs).endStreamsAfter(Duration.ofMillis(500)).stop("jetty", server::stop));
        filter.setAsyncSupported(true);
        context.addFilter(filter, "/work", EnumSet.of(DispatcherType.REQUEST));
        for (String path : List.of("/async", "/events", "/poll")) {
            context.addFilter(filter, path, EnumSet.of(DispatcherType.REQUEST));
        }
        context.addServlet(new ServletHolder(new Work()), "/work");
        ServletHolder later = new ServletHolder(new Later());
        later.setAsyncSupported(true);
        context.addServlet(later, "/async");
        ServletHolder endless = new ServletHolder(new Endless());
        endless.setAsyncSupported(true);
        context.addServlet(endless, "/events");
        context.addServlet(endless, "/poll");
        context.addServlet(new ServletHolder(new Ready(gs)), "/readyz");
        server.setHandler(context);
        server.start();
        System.out.println("ready");
        System.exit(gs.await());
    }

    private static final class Work extends HttpServlet {
        private static final long serialVersionUID = 1L;

        @Override
        protected void service(HttpServletRequest request, HttpServletResponse response) throws IOException {
            request.getInputStream().readAllBytes();
            try {
                Thread.sleep(20);
            } catch (InterruptedException e) {
                throw new IOException(e);
            }
            response.getWriter().println("done");
        }
    }

    private static final class Later extends HttpServlet {
        private static final long serialVersionUID = 1L;

        @Override
        protected void service(HttpServletRequest request, HttpServletResponse response) {
            AsyncContext async = request.startAsync();
            CompletableFuture.delayedExecutor(20, TimeUnit.MILLISECONDS).execute(() -> {
                try {
                    async.getResponse().getWriter().println("done");
                } catch (IOException e) {
                    // the client is gone
                }
                async.complete();
            });
        }
    }

    private static final class Endless extends HttpServlet {
        private static final long serialVersionUID = 1L;

        @Override
        protected void service(HttpServletRequest request, HttpServletResponse response) {
            AsyncContext async = request.startAsync();
            async.setTimeout(0);
            if (request.getServletPath().equals("/poll")) {
                GraceshutFilter.stream(request, () -> System.out.println("told"));
                System.out.println("polled");
                return;
            }
            response.setContentType("text/event-stream");
            send(async);
        }

        private static void send(AsyncContext async) {
            try {
                async.getResponse().getWriter().print("data: one\n\n");
                async.getResponse().flushBuffer();
                CompletableFuture.delayedExecutor(50, TimeUnit.MILLISECONDS).execute(() -> send(async));
            } catch (IOException | IllegalStateException e) {
                // ended
            }
        }
    }

    private static final class Ready extends HttpServlet {
        private static final long serialVersionUID = 1L;
        private final transient Graceshut gs;

        Ready(Graceshut gs) {
            this.gs = gs;
        }

        @Override
        protected void service(HttpServletRequest request, HttpServletResponse response) {
            response.setStatus(gs.isStopping() ? 503 : 200);
        }
    }
}
