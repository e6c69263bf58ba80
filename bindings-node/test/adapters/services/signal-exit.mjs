import { onExit } from 'signal-exit';
import './http.mjs';

onExit(() => console.log('signal-exit ran'));
