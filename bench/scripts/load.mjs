// Milliseconds that require takes.
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
const begin = performance.now()
require('graceshut')
console.log('ms', performance.now() - begin)
