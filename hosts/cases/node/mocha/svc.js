// A service's module: it installs when it is loaded.
if (process.env.WITH) {
  const gs = require('graceshut').install({ grace: '5s' });
  gs.hook('flush', () => {}, { name: 'flush' });
}
