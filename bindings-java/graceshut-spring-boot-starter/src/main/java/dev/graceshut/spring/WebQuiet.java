package dev.graceshut.spring;

import dev.graceshut.HookContext;

/** Waits until the web server has nothing to do. */
@FunctionalInterface
interface WebQuiet {
    void await(HookContext ctx) throws InterruptedException;
}
