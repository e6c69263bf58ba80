package hosts;

import dev.graceshut.Phase;
import dev.graceshut.servlet.GraceshutFilter;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.web.servlet.FilterRegistrationBean;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RestController;

/** Spring Boot with a pool of HikariCP's: every request takes a connection. */
@SpringBootApplication
@RestController
public class SpringCase {
    private static dev.graceshut.Graceshut gs;
    private static GraceshutFilter filter;
    private final JdbcTemplate jdbc;

    SpringCase(JdbcTemplate jdbc) {
        this.jdbc = jdbc;
    }

    @RequestMapping("/")
    String index() {
        return "ok " + jdbc.queryForObject("select 1", Integer.class) + "\n";
    }

    @Bean
    FilterRegistrationBean<jakarta.servlet.Filter> graceshut() {
        jakarta.servlet.Filter none = (request, response, chain) -> chain.doFilter(request, response);
        return new FilterRegistrationBean<>(Gs.WITH ? filter : none);
    }

    public static void main(String[] args) throws Exception {
        System.setProperty("server.port", "" + Gs.PORT);
        System.setProperty("server.address", "127.0.0.1");
        System.setProperty("server.shutdown", "graceful");
        System.setProperty("spring.datasource.url", "jdbc:h2:mem:case;DB_CLOSE_ON_EXIT=FALSE");
        System.setProperty("spring.main.banner-mode", "off");
        System.setProperty("logging.level.root", "warn");
        var application = new SpringApplication(SpringCase.class);
        if (!Gs.WITH) {
            application.run(args);
            return;
        }
        gs = Gs.install();
        filter = new GraceshutFilter(gs);
        application.setRegisterShutdownHook(false);
        ConfigurableApplicationContext context = application.run(args);
        gs.hook(Phase.DRAIN, "http", filter::awaitQuiet);
        gs.hook(Phase.CLOSE, "spring", ctx -> context.close());
        System.exit(gs.await());
    }
}
