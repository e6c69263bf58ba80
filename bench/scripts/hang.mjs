// Blocks the loop for ever: only the watchdog can end it.
import { writeSync } from 'node:fs'
import { install } from 'graceshut'

install({ grace: 200 })
setImmediate(() => {
  writeSync(1, 'ready\n')
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60_000)
})
