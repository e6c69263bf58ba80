package dev.graceshut.kafka;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.StringWriter;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;

/** Every snippet of the README compiles. Here, because this module has all the libraries that they use. */
class ReadmeTest {
    private static final Path README = Path.of(System.getProperty("basedir", "."), "..", "README.md");
    private static final Pattern SNIPPET = Pattern.compile("```java\n(.*?)```", Pattern.DOTALL);
    /** What a reader brings along: the program around a snippet. */
    private static final String PROGRAM = """
            import com.sun.net.httpserver.*;
            import dev.graceshut.*;
            import dev.graceshut.http.*;
            import dev.graceshut.kafka.*;
            import java.net.InetSocketAddress;
            import java.net.ServerSocket;
            import java.time.Duration;
            import java.util.*;
            import org.apache.kafka.clients.consumer.*;

            abstract class Snippet%d {
                interface Store { void bulk(List<ConsumerRecord<String, String>> batch) throws Exception; }
                interface GrpcServer { void shutdown(); void awaitTermination() throws InterruptedException; void shutdownNow(); }

                Graceshut gs;
                Store store;
                Map<String, Object> config;
                String request;
                HttpHandler handler;
                %s

                abstract void answer(int status, String header);
                abstract void handle(String request);

                void snippet() throws Exception {
            %s
                }
            }
            """;

    private static JavaFileObject source(String name, String text) {
        return new SimpleJavaFileObject(URI.create("string:///" + name + ".java"), JavaFileObject.Kind.SOURCE) {
            @Override
            public CharSequence getCharContent(boolean ignoreEncodingErrors) {
                return text;
            }
        };
    }

    private static List<String> snippets() throws Exception {
        return SNIPPET.matcher(Files.readString(README)).results().map(found -> found.group(1)).toList();
    }

    @Test
    void everySnippetCompiles() throws Exception {
        List<JavaFileObject> sources = new ArrayList<>();
        for (String snippet : snippets()) {
            int n = sources.size();
            boolean whole = snippet.contains("public class ");
            // grpc-java is no dependency of ours.
            String server = snippet.contains("server.awaitTermination()") ? "GrpcServer server;" : "";
            sources.add(whole ? source("Quickstart", snippet) : source("Snippet" + n, PROGRAM.formatted(n, server, snippet)));
        }
        assertTrue(sources.size() >= 4, "snippets of " + README + ": " + sources.size());
        StringWriter said = new StringWriter();
        List<String> options = List.of("-proc:none", "-d", Files.createTempDirectory("graceshut-test-").toString(), "-cp",
                System.getProperty("java.class.path"));
        boolean compiled = ToolProvider.getSystemJavaCompiler().getTask(said, null, null, options, null, sources).call();
        assertTrue(compiled, said::toString);
    }

    @Test
    void theQuickstartIsTheExample() throws Exception {
        Path example = README.resolveSibling("../examples/java/Quickstart.java");
        assertEquals(Files.readString(example), snippets().get(0));
    }
}
