'use strict';
// Frameworks that own their server: it is drained by http(), then the framework's own close runs in the phase `close`, so that
// its closing hooks find no request left and pools that are still open (ecosystems 3.4).

const { GraceshutError } = require('../error.js');
const { ExitPutOff } = require('../hooks.js');

/**
 * `callback` for a close() of avvio, Fastify's boot: an exit in it is put off by a throw, after which avvio would never go on, and
 * the hook that closes the instance would wait for ever. avvio calls by the number of parameters; the last of two or more goes on.
 */
function goesOn(callback) {
  const wrapped = function (...args) {
    try {
      return Reflect.apply(callback, this, args);
    } catch (error) {
      if (!(error instanceof ExitPutOff)) throw error;
      if (typeof args.at(-1) === 'function') args.at(-1)();
      return undefined;
    }
  };
  return Object.defineProperty(wrapped, 'length', { value: callback.length });
}

/** A Fastify plugin for the root instance. */
function fastify(gs, { closeName = 'fastify', ...options } = {}) {
  function graceshut(instance, _, done) {
    gs.http(instance.server, options);
    const { close } = instance;
    instance.close = function (callback) {
      return typeof callback === 'function' ? close.call(this, goesOn(callback)) : close.call(this);
    };
    gs.hook('close', () => instance.close(), { name: closeName });
    done();
  }
  // What fastify-plugin sets: the plugin acts on the instance that registers it, and has a name.
  graceshut[Symbol.for('skip-override')] = true;
  graceshut[Symbol.for('fastify.display-name')] = 'graceshut';
  return graceshut;
}

/** A Nest application. `enableShutdownHooks()` is not needed. */
function nest(gs, app, { closeName = 'nest', ...options } = {}) {
  if (typeof app?.getHttpServer !== 'function' || typeof app.close !== 'function') {
    throw new GraceshutError('bad_value', 'nest() takes what NestFactory.create() answers');
  }
  gs.http(app.getHttpServer(), options);
  gs.hook('close', ({ reason }) => app.close(reason.signal ? `SIG${reason.signal}` : undefined), { name: closeName });
  return app;
}

module.exports = { fastify, nest };
