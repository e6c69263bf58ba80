import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.transport.Netty4Plugin;

/** One OpenSearch node on loopback, without the archive's scripts: {@code Store FOLDER HTTP-PORT TRANSPORT-PORT}. */
public class Store extends Node {
    private Store(Environment environment) {
        super(environment, List.of(Netty4Plugin.class), false);
    }

    public static void main(String[] arguments) throws Exception {
        String folder = arguments[0];
        Settings settings =
                Settings.builder()
                        .put("path.home", folder)
                        .put("cluster.name", "kafka")
                        .put("node.name", "store")
                        .put("network.host", "127.0.0.1")
                        .put("http.port", arguments[1])
                        .put("transport.port", arguments[2])
                        .put("discovery.type", "single-node")
                        .put("http.type", "netty4")
                        .put("transport.type", "netty4")
                        .put("bootstrap.system_call_filter", false)
                        .put("cluster.routing.allocation.disk.threshold_enabled", false)
                        .build();
        Environment environment =
                InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), Path.of(folder, "config"), () -> "store");
        new Store(environment).start();
        Thread.currentThread().join();
    }
}
