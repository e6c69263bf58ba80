// A process whose loop is blocked for 2 s: `stuck.mjs graceshut PID | own 0`.
import { writeSync } from 'node:fs'

const [mode, pid] = process.argv.slice(2)
if (mode === 'graceshut') {
  const { install } = await import('graceshut')
  const gs = install({ grace: 10_000 })
  gs.signalHook('drain', { pid: Number(pid), signal: 'USR1' }, { name: 'back' })
} else {
  process.on('SIGTERM', () => {
    writeSync(1, `handled ${(performance.timeOrigin + performance.now()) * 1000}\n`)
  })
}
setTimeout(() => {}, 5000)
// The listener above is set in the loop's own time; block only after a turn of it.
setImmediate(() => {
  writeSync(1, 'ready\n')
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2000)
})
