// Nanoseconds of tryEnter + leave, beside two bare Atomics.add.
import { install } from 'graceshut'

const gs = install({ exit: 'manual', report: 'none' })
const N = 2_000_000
const words = new Int32Array(new ArrayBuffer(256))
const timed = (f) => {
  const begin = process.hrtime.bigint()
  f()
  return Number(process.hrtime.bigint() - begin) / N
}
const ours = () => {
  for (let i = 0; i < N; i++) {
    if (!gs.tryEnter()) throw new Error('refused')
    gs.leave()
  }
}
const peer = () => {
  for (let i = 0; i < N; i++) {
    Atomics.add(words, 0, 1)
    Atomics.add(words, 16, 1)
  }
}
timed(ours)
timed(peer)
const rounds = { ours: [], peer: [] }
for (let i = 0; i < 9; i++) {
  rounds.ours.push(timed(ours))
  rounds.peer.push(timed(peer))
}
gs.uninstall()
console.log(JSON.stringify(rounds))
