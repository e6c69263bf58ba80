require('./svc.js');
test('loads', () => {});
