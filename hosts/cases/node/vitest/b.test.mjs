import { test } from 'vitest';
import './svc.mjs';

test('loads', () => {});
