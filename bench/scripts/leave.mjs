// Prints the wall time at its last act, then leaves: `leave.mjs graceshut | bare`.
import { writeSync } from 'node:fs'

const last = () => writeSync(1, `last ${(performance.timeOrigin + performance.now()) * 1000}\n`)
setInterval(() => {}, 1000)
if (process.argv[2] === 'graceshut') {
  const { install } = await import('graceshut')
  const gs = install({ grace: 10_000 })
  gs.hook('final', () => { last() }, { name: 'stamp' })
} else {
  process.on('SIGTERM', () => {
    last()
    process.exit(0)
  })
}
writeSync(1, 'ready\n')
