package dev.graceshut.spring;

import jakarta.annotation.PreDestroy;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RestController;

/** A service as the guides have it, with the starter on its class path. */
@SpringBootApplication
@RestController
public class App {
    public static void main(String[] args) {
        SpringApplication app = new SpringApplication(App.class);
        app.run("--server.port=" + System.getenv("PORT"), "--management.endpoint.health.probes.enabled=true", "--graceshut.grace=10s",
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

    @PreDestroy
    void destroyed() {
        System.out.println("context closed");
    }
}
