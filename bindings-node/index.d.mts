export * from './index.js';
import * as graceshut from './index.js';
export default graceshut;
