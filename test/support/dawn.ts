import { afterAll } from 'vitest';
import { openDawn } from './open-dawn.ts';

const { info, close } = await openDawn();
const { vendor, architecture, device, description } = info;
console.log(`Dawn on ${[vendor, architecture, device, description].filter((text) => text !== '').join(', ')}`);

afterAll(close);
