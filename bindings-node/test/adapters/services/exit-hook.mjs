// exit-hook calls process.exit from its listener for the same signal.
import { asyncExitHook } from 'exit-hook';
import './http.mjs';

asyncExitHook(async () => console.log('exit-hook ran'), { wait: 500 });
