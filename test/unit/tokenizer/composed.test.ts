import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { runSync } from '../../../src/core/cooperative-task.ts';
import { composed } from '../../../src/tokenizer/composed.ts';

const letters = [...'aA\u0301\u0323\u1100\u1161\u11a8\uac00\u0915\u093c\u09c7\u09be\u0344\u2126\ufb1d\u{1d15e}\u{1f600}\u{16d67}\u{11131} 1'];

describe('composed', () => {
  it('is NFC, wherever it is cut', () => {
    const check = fc.property(fc.string({ unit: fc.constantFrom(...letters), maxLength: 12 }), fc.nat(12), (text, at) => {
      const long = `${'x'.repeat(2 ** 14 - at)}${text}y${text}`;
      expect(runSync(composed(long)) === long.normalize('NFC')).toBe(true);
    });
    fc.assert(check, { seed: 3, numRuns: 200 });
  });

  it('knows all characters that compose with what is before them', () => {
    const pairs = new Map<string, string>();
    for (let code = 0; code < 0x110000; code++) {
      const character = String.fromCodePoint(code);
      const parts = character.normalize('NFD');
      if (parts === character) continue;
      const [first = '', ...rest] = parts;
      for (const part of rest) pairs.set(part, first);
    }
    expect(pairs.size).toBeGreaterThan(100);
    for (const [part, first] of pairs) {
      const text = 'x'.repeat(2 ** 14 - first.length) + first + part; // it would be cut between the two
      expect(runSync(composed(text)) === text.normalize('NFC')).toBe(true);
    }
  });

  it('hands JavaScript no long row of marks, whose time grows with its square', () => {
    const rows: number[] = [];
    const normalize = vi.spyOn(String.prototype, 'normalize').mockImplementation(function (this: string) {
      rows.push(Math.max(0, ...(this.match(/\p{M}+/gu) ?? []).map((row) => row.length)));
      return String(this);
    });
    const text = `a${'\u0301\u0323'.repeat(10_000)}b`;
    expect(runSync(composed(text)) === text).toBe(true);
    normalize.mockRestore();
    expect(rows.reduce((most, row) => Math.max(most, row), 0)).toBeLessThanOrEqual(64);
  });
});
