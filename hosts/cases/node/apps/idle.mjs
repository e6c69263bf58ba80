// No server, only a hook; without graceshut the default ends it.
if (process.env.WITH) {
  const { install } = await import('graceshut');
  install({ grace: '8s' }).hook('flush', () => console.log('hook flush'), { name: 'flush' });
}
setInterval(() => {}, 1000);
console.log('ready');
