package dev.graceshut.kafka;

import dev.graceshut.ErrorKind;
import dev.graceshut.GraceshutException;
import java.lang.reflect.Field;
import java.util.List;
import java.util.Optional;
import org.apache.kafka.clients.consumer.Consumer;

/**
 * A consumer with {@code enable.auto.commit} (its default) commits what it has handed out, written or not: what this helper is
 * there to prevent. The client tells nobody how it is configured, so its fields are looked at; where they are not to be found, as
 * in another version of it, nothing is known and the consumer is taken.
 */
final class AutoCommit {
    /** Where KafkaConsumer 3.x, 4.x classic, and 4.x with the new protocol keep it. */
    private static final List<List<String>> PATHS = List.of(
            List.of("coordinator", "autoCommitEnabled"),
            List.of("delegate", "coordinator", "autoCommitEnabled"),
            List.of("delegate", "autoCommitEnabled"));

    private AutoCommit() {}

    static void refuse(Consumer<?, ?> consumer) {
        for (List<String> path : PATHS) {
            if (follow(consumer, path).orElse(false) instanceof Boolean on && on) {
                throw new GraceshutException(ErrorKind.BAD_VALUE,
                        "the consumer has enable.auto.commit, which commits records that are not written; set it to false");
            }
        }
    }

    private static Optional<Object> follow(Object from, List<String> path) {
        Object at = from;
        try {
            for (String name : path) {
                if (at == null) {
                    return Optional.empty();
                }
                Field field = at.getClass().getDeclaredField(name);
                field.setAccessible(true);
                at = field.get(at);
            }
            return Optional.ofNullable(at);
        } catch (ReflectiveOperationException | RuntimeException e) {
            return Optional.empty();
        }
    }
}
