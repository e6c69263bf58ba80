// A server that graceshut knows nothing of, here a plain loop over a ServerSocket: the lines with `served` are all it takes.

import dev.graceshut.Graceshut;
import dev.graceshut.Served;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.nio.charset.StandardCharsets;

public class AnyServer {
    public static void main(String[] args) throws Exception {
        Graceshut gs = Graceshut.install();
        ServerSocket server = new ServerSocket(Integer.parseInt(System.getenv("PORT")), 128, InetAddress.getLoopbackAddress());
        Served served = gs.listener(server, server::close);
        System.out.println("ready");
        try {
            while (true) {
                Socket client = server.accept();
                new Thread(() -> connection(client, served)).start();
            }
        } catch (SocketException closed) {
            System.exit(gs.await());
        }
    }

    private static void connection(Socket client, Served served) {
        try (client) {
            var in = new BufferedReader(new InputStreamReader(client.getInputStream(), StandardCharsets.ISO_8859_1));
            for (String path = request(in); path != null; path = request(in)) {
                if (path.equals("/readyz")) {
                    answer(client, served.isStopping() ? 503 : 200, served);
                    continue;
                }
                try (var work = served.enter()) { // null from drain on
                    if (work != null) {
                        Thread.sleep(20); // the work
                    }
                    answer(client, work == null ? 503 : 200, served);
                }
            }
        } catch (IOException | InterruptedException e) {
            // the client is gone
        }
    }

    /** The next request's path; null when the client has no more. */
    private static String request(BufferedReader in) throws IOException {
        String first = in.readLine();
        int length = 0;
        for (String line = in.readLine(); line != null && !line.isEmpty(); line = in.readLine()) {
            if (line.toLowerCase().startsWith("content-length:")) {
                length = Integer.parseInt(line.substring(15).trim());
            }
        }
        in.skip(length);
        return first == null ? null : first.split(" ")[1];
    }

    private static void answer(Socket client, int status, Served served) throws IOException {
        String head = "HTTP/1.1 " + status + " -\r\nContent-Length: 5\r\n" + (served.isStopping() ? "Connection: close\r\n" : "");
        client.getOutputStream().write((head + "\r\ndone\n").getBytes(StandardCharsets.ISO_8859_1));
        if (served.isStopping()) {
            client.shutdownOutput();
        }
    }
}
