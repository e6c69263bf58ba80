import graceshut from './index.js';

export const { install, current, GraceshutError, DrainingError, errorKinds, version } = graceshut;
export default graceshut;
