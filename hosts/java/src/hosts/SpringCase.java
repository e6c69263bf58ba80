package hosts;

import dev.graceshut.Graceshut;
import dev.graceshut.Phase;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RestController;

/** Spring Boot with a pool of HikariCP's: every request takes a connection. The starter is on the class path. */
@SpringBootApplication
@RestController
public class SpringCase {
    private final JdbcTemplate jdbc;

    SpringCase(JdbcTemplate jdbc, ObjectProvider<Graceshut> graceshut) {
        this.jdbc = jdbc;
        graceshut.ifAvailable(gs -> gs.hook(Phase.FLUSH, "flush", ctx -> System.out.println("hook flush")));
    }

    @RequestMapping("/")
    String index() {
        return "ok " + jdbc.queryForObject("select 1", Integer.class) + "\n";
    }

    public static void main(String[] args) {
        System.setProperty("graceshut.enabled", "" + Gs.WITH);
        System.setProperty("server.port", "" + Gs.PORT);
        System.setProperty("server.address", "127.0.0.1");
        System.setProperty("spring.datasource.url", "jdbc:h2:mem:case;DB_CLOSE_ON_EXIT=FALSE");
        System.setProperty("spring.main.banner-mode", "off");
        System.setProperty("logging.level.root", "warn");
        SpringApplication.run(SpringCase.class, args);
    }
}
