package dev.graceshut.spring;

import java.time.Duration;
import org.springframework.boot.context.properties.ConfigurationProperties;

/**
 * {@code graceshut.*} in application.properties. Environment ({@code GRACESHUT_*}) and graceshut.toml beat it.
 *
 * @param enabled false: nothing is installed
 * @param grace wall time from a signal until something outside kills the process
 * @param announceDelay how long readiness is red before work is refused
 * @param report where the report goes
 * @param endStreamsAfter event streams are ended in order so long after the start of drain; never where it is not said
 * @param json every other option, as {@link dev.graceshut.Options.Builder#json(String)}
 */
@ConfigurationProperties("graceshut")
public record GraceshutProperties(Boolean enabled, Duration grace, Duration announceDelay, String report, Duration endStreamsAfter, String json) {}
