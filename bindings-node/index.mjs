import graceshut from './index.js';

export const {
  install,
  current,
  Graceshut,
  HookHandle,
  Guard,
  InFlight,
  GraceshutError,
  DrainingError,
  errorKinds,
  version,
} = graceshut;
export default graceshut;
