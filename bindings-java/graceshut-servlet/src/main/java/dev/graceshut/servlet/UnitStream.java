package dev.graceshut.servlet;

import dev.graceshut.http.Streams;
import jakarta.servlet.AsyncContext;
import jakarta.servlet.ServletRequest;
import jakarta.servlet.ServletResponse;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;

/** A request that may be a stream: what it is, is known when its time has come. */
final class UnitStream extends Streams.Stream {
    private final ServletRequest request;
    /** Not null: the program said that this is one. */
    private Runnable told;
    private boolean draining;

    UnitStream(ServletRequest request) {
        this.request = request;
    }

    void named(Runnable f) {
        boolean late;
        synchronized (this) {
            told = f;
            late = draining;
        }
        if (late) {
            f.run();
        }
    }

    @Override
    protected void tell() {
        Runnable f;
        synchronized (this) {
            draining = true;
            f = told;
        }
        if (f != null) {
            f.run();
        }
    }

    /** The last chunk is written by closing the body, before complete() lets the container go on; its listener counts the request out. */
    @Override
    protected boolean end() {
        if (!request.isAsyncStarted()) {
            return false;
        }
        AsyncContext async = request.getAsyncContext();
        ServletResponse response = async.getResponse();
        if (told == null && !Streams.isEndless(response.getContentType())) {
            return false;
        }
        if (!response.isCommitted() && response instanceof HttpServletResponse answer) {
            answer.setStatus(HttpServletResponse.SC_SERVICE_UNAVAILABLE);
            answer.setHeader("Connection", "close");
        }
        close(response);
        async.complete();
        return true;
    }

    private static void close(ServletResponse response) {
        try {
            try {
                response.getOutputStream().close();
            } catch (IllegalStateException e) {
                response.getWriter().close(); // the one that the program has taken
            }
        } catch (IOException e) {
            // the client is gone
        }
    }
}
