export async function register() {
  if (process.env.WITH && process.env.NEXT_RUNTIME === 'nodejs') {
    const { install } = await import('graceshut');
    const gs = install({ grace: '8s' });
    gs.hook('flush', () => console.log('hook flush'), { name: 'flush' });
  }
}
