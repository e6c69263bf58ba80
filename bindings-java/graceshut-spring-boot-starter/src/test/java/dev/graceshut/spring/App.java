package dev.graceshut.spring;

import jakarta.annotation.PreDestroy;
import java.io.IOException;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.servlet.mvc.method.annotation.SseEmitter;

/** A service as the guides have it, with the starter on its class path. */
@SpringBootApplication
@RestController
public class App {
    public static void main(String[] args) {
        SpringApplication app = new SpringApplication(App.class);
        app.run("--server.port=" + System.getenv("PORT"), "--management.endpoint.health.probes.enabled=true", "--graceshut.grace=10s",
                "--graceshut.end-streams-after=500ms",
                "--spring.main.banner-mode=off", "--logging.level.root=warn");
        System.out.println("ready");
        if (System.getenv("EXIT_AFTER_MS") != null) {
            try {
                Thread.sleep(Long.parseLong(System.getenv("EXIT_AFTER_MS")));
            } catch (InterruptedException e) {
                return;
            }
            System.exit(5);
        }
    }

    @RequestMapping("/work")
    String work() throws InterruptedException {
        Thread.sleep(20);
        return "done\n";
    }

    /** Events without an end. */
    @RequestMapping("/events")
    SseEmitter events() {
        SseEmitter emitter = new SseEmitter(0L);
        Thread sender = new Thread(() -> {
            try {
                while (true) {
                    emitter.send("one");
                    Thread.sleep(50);
                }
            } catch (IOException | IllegalStateException | InterruptedException e) {
                emitter.completeWithError(e); // the stream was ended
            }
        });
        sender.setDaemon(true);
        sender.start();
        return emitter;
    }

    @PreDestroy
    void destroyed() {
        System.out.println("context closed");
    }
}
