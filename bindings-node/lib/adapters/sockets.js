'use strict';
// Which object is the server, and which descriptor its listener has.

const { readFileSync, readdirSync, readlinkSync } = require('node:fs');
const net = require('node:net');

/**
 * A server by what it can do: Bun's are no net.Server, and in a sandbox (jest) net.Server may be of another realm. A framework
 * without an address of its own is not taken for one.
 */
const isServer = (x) =>
  x instanceof net.Server || ['emit', 'on', 'listen', 'close', 'address'].every((method) => typeof x?.[method] === 'function');

/** The server itself, or the one a framework shows: restify and polka as `server`, hapi as `listener`. */
function serverOf(given) {
  if (given instanceof net.Server) return given;
  const shown = [given?.server, given?.listener].find((x) => x instanceof net.Server);
  return shown ?? (isServer(given) ? given : undefined);
}

/** The inodes of sockets that listen on a port: state 0A in the kernel's tables, local address first. */
function* listening(port) {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0');
  for (const table of ['tcp', 'tcp6']) {
    let rows;
    try {
      rows = readFileSync(`/proc/self/net/${table}`, 'latin1').split('\n').slice(1);
    } catch {
      continue; // no such protocol, or no /proc
    }
    for (const row of rows) {
      const [, local, , state, , , , , , inode] = row.trim().split(/\s+/);
      if (state === '0A' && local.endsWith(`:${wanted}`)) yield `socket:[${inode}]`;
    }
  }
}

/** Descriptors of this process that listen on `port`. */
function descriptorsOf(port) {
  const inodes = new Set(listening(port));
  if (inodes.size === 0) return [];
  const found = [];
  try {
    for (const fd of readdirSync('/proc/self/fd')) {
      try {
        if (inodes.has(readlinkSync(`/proc/self/fd/${fd}`))) found.push(Number(fd));
      } catch {
        // Closed since.
      }
    }
  } catch {
    // No /proc.
  }
  return found;
}

const byPort = new WeakMap();

/** The descriptor of a server's listener; -1 where there is none (a Unix socket, a cluster worker's). */
function descriptor(server) {
  const { fd } = server._handle ?? {};
  if (Number.isInteger(fd)) return fd;
  if (server._handle && process.versions.deno === undefined && process.versions.bun === undefined) return -1; // of the primary
  // Deno and Bun show no descriptor.
  if (!byPort.has(server)) {
    const port = server.address?.()?.port;
    byPort.set(server, (Number.isInteger(port) && descriptorsOf(port)[0]) || -1);
  }
  return byPort.get(server);
}

module.exports = { descriptor, descriptorsOf, isServer, serverOf };
