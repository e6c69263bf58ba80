'use strict';
// The face for require(). Importing costs two small files: the rest, and the addon, come with install().

const { GraceshutError, DrainingError, kinds } = require('./lib/error.js');

exports.install = function install(options) {
  return require('./lib/graceshut.js').install(options);
};
exports.current = function current() {
  return require('./lib/graceshut.js').current();
};
exports.GraceshutError = GraceshutError;
exports.DrainingError = DrainingError;
exports.errorKinds = Object.freeze({ ...kinds });
exports.version = '0.1.0';
