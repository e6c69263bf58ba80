import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** What every Java consumer of the suite does with a batch: one bulk request; a message that says so blocks for 3 s. */
final class Bulk {
    private static final HttpClient CLIENT = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
    private static final URI SINK = URI.create(System.getenv("SINK") + "/_bulk");
    private static final Pattern ID = Pattern.compile("\"id\": *(\\d+)");

    private Bulk() {}

    static void write(List<? extends ConsumerRecord<String, String>> batch) throws IOException, InterruptedException {
        StringBuilder lines = new StringBuilder();
        for (ConsumerRecord<String, String> record : batch) {
            if (record.value().contains("\"block\"")) {
                System.out.println("BLOCK");
                Thread.sleep(3000);
            }
            Matcher id = ID.matcher(record.value());
            if (!id.find()) {
                throw new IOException("a message without an id: " + record.value());
            }
            lines.append("{\"index\":{\"_id\":\"").append(id.group(1)).append("\"}}\n").append(record.value()).append('\n');
        }
        HttpRequest request = HttpRequest.newBuilder(SINK).timeout(Duration.ofSeconds(60)).header("Content-Type", "application/x-ndjson")
                .POST(HttpRequest.BodyPublishers.ofString(lines.toString())).build();
        int status = CLIENT.send(request, HttpResponse.BodyHandlers.discarding()).statusCode();
        if (status != 200) {
            throw new IOException("the store answered " + status);
        }
    }
}
