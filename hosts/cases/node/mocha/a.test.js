require('./svc.js');
it('loads', () => {});
