'use strict';
const { GraceshutError, DrainingError, kinds } = require('./lib/error.js');
const { Graceshut, HookHandle, install, current } = require('./lib/graceshut.js');
const { Guard, InFlight } = require('./lib/inflight.js');
const { version } = require('./package.json');

exports.install = install;
exports.current = current;
exports.Graceshut = Graceshut;
exports.HookHandle = HookHandle;
exports.Guard = Guard;
exports.InFlight = InFlight;
exports.GraceshutError = GraceshutError;
exports.DrainingError = DrainingError;
exports.errorKinds = Object.freeze({ ...kinds });
exports.version = version;
