// Orders from Kafka into a store, in batches: written, then committed. Nothing is lost at SIGTERM, also while the store is stuck.
//
//   javac -d out -cp "target/java/lib/*:kafka-clients.jar:slf4j-api.jar" examples/kafka/java/Indexer.java
//   java -cp "out:target/java/lib/*:kafka-clients.jar:slf4j-api.jar" Indexer 127.0.0.1:9092 orders

import dev.graceshut.Graceshut;
import dev.graceshut.kafka.Batches;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.StringDeserializer;

public class Indexer {
    public static void main(String[] args) throws Exception {
        Graceshut gs = Graceshut.install();
        var config = Map.<String, Object>of("bootstrap.servers", args[0], "group.id", "indexer",
                "enable.auto.commit", false, "auto.offset.reset", "earliest");
        var consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());

        Batches.of(gs, consumer, List.of(args[1]), Indexer::write).size(500).every(Duration.ofSeconds(5)).run();

        System.exit(gs.await());
    }

    /** A message counts as done when this returns. A database's bulk request stands here. */
    private static void write(List<ConsumerRecord<String, String>> batch) throws IOException {
        StringBuilder lines = new StringBuilder();
        for (var record : batch) {
            lines.append(record.partition()).append('/').append(record.offset()).append(' ').append(record.value()).append('\n');
        }
        Files.write(Path.of("orders.txt"), lines.toString().getBytes(StandardCharsets.UTF_8),
                StandardOpenOption.CREATE, StandardOpenOption.APPEND, StandardOpenOption.SYNC);
    }
}
