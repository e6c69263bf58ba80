import dev.graceshut.Graceshut;
import dev.graceshut.kafka.Batches;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/** kafka-clients: batches of 500 messages or 5 s, written, then committed. */
public class Indexer {
    public static void main(String[] args) throws Exception {
        Graceshut gs = Graceshut.install();
        var consumer = new KafkaConsumer<>(config(), new StringDeserializer(), new StringDeserializer());
        var batches = Batches.of(gs, consumer, List.of(System.getenv("TOPIC")), Bulk::write);
        batches.listener(new Ready()).retry(Duration.ofSeconds(1)).run(); // of 500, or every 5 s
        System.exit(gs.await());
    }

    private static Map<String, Object> config() {
        return Map.of("bootstrap.servers", System.getenv("BOOTSTRAP"), "group.id", System.getenv("GROUP"), "client.id", System.getenv("NAME"),
                "enable.auto.commit", false, "auto.offset.reset", "earliest", "session.timeout.ms", System.getenv("SESSION_MS"),
                "heartbeat.interval.ms", System.getenv("HEARTBEAT_MS"));
    }

    /** For the runner. */
    private static final class Ready implements ConsumerRebalanceListener {
        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            if (!partitions.isEmpty()) {
                System.out.println("ready");
            }
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {}
    }
}
