// A service's module: it installs when it is loaded.
if (process.env.WITH) {
  const { install } = await import('graceshut');
  const gs = install({ grace: '5s' });
  gs.hook('flush', () => {}, { name: 'flush' });
}
