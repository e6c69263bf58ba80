'use strict';
// Frameworks that own their server: it is drained by http(), then the framework's own close runs in the phase `close`, so that
// its closing hooks find no request left and pools that are still open (ecosystems 3.4).

const { GraceshutError } = require('../error.js');

/** A Fastify plugin for the root instance. */
function fastify(gs, { closeName = 'fastify', ...options } = {}) {
  function graceshut(instance, _, done) {
    gs.http(instance.server, options);
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
