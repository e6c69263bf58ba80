package dev.graceshut.spring;

import dev.graceshut.Graceshut;
import dev.graceshut.Options;
import dev.graceshut.servlet.GraceshutFilter;
import jakarta.servlet.DispatcherType;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.boot.autoconfigure.condition.ConditionalOnWebApplication;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.boot.web.servlet.FilterRegistrationBean;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.Ordered;

/** Installs graceshut, counts requests, and puts the application context into the plan. */
@AutoConfiguration
@ConditionalOnProperty(prefix = "graceshut", name = "enabled", matchIfMissing = true)
@EnableConfigurationProperties(GraceshutProperties.class)
public class GraceshutAutoConfiguration {
    /** The runtime; closing the context uninstalls it only while nothing has begun. */
    @Bean
    @ConditionalOnMissingBean
    public Graceshut graceshut(GraceshutProperties properties) {
        Options.Builder options = Options.builder();
        if (properties.json() != null) {
            options.json(properties.json());
        }
        if (properties.grace() != null) {
            options.grace(properties.grace());
        }
        if (properties.announceDelay() != null) {
            options.announceDelay(properties.announceDelay());
        }
        if (properties.report() != null) {
            options.report(properties.report());
        }
        return Graceshut.install(options.build());
    }

    /** The context in the plan. */
    @Bean
    GraceshutLifecycle graceshutLifecycle(Graceshut gs, ConfigurableApplicationContext context, ObjectProvider<WebQuiet> quiet) {
        return new GraceshutLifecycle(gs, context, quiet.getIfAvailable());
    }

    /** Requests as work in flight. */
    @Configuration(proxyBeanMethods = false)
    @ConditionalOnWebApplication(type = ConditionalOnWebApplication.Type.SERVLET)
    static class Servlets {
        @Bean
        GraceshutFilter graceshutFilter(Graceshut gs, GraceshutProperties properties) {
            GraceshutFilter filter = new GraceshutFilter(gs);
            return properties.endStreamsAfter() == null ? filter : filter.endStreamsAfter(properties.endStreamsAfter());
        }

        @Bean
        FilterRegistrationBean<GraceshutFilter> graceshutFilterRegistration(GraceshutFilter filter) {
            FilterRegistrationBean<GraceshutFilter> registration = new FilterRegistrationBean<>(filter);
            registration.setOrder(Ordered.HIGHEST_PRECEDENCE);
            registration.setAsyncSupported(true);
            registration.setDispatcherTypes(DispatcherType.REQUEST);
            return registration;
        }

        @Bean
        WebQuiet graceshutWebQuiet(GraceshutFilter filter) {
            return filter::awaitQuiet;
        }
    }
}
