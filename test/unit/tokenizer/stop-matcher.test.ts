import { describe, expect, it } from 'vitest';
import { createStopMatcher } from '../../../src/tokenizer/stop-matcher.ts';
import { createRandom } from '../../support/random.ts';

/** What the whole text gives: all before the stop string that is complete first, of those the longest. */
function reference(stops: readonly string[], text: string): { text: string; stopped: boolean } {
  for (let end = 1; end <= text.length; end++) {
    const ending = stops.filter((stop) => stop !== '' && text.slice(0, end).endsWith(stop));
    if (ending.length > 0)
      return { text: text.slice(0, end - Math.max(...ending.map((stop) => stop.length))), stopped: true };
  }
  return { text, stopped: false };
}

function stream(stops: readonly string[], texts: readonly string[]): { text: string; stopped: boolean } {
  const matcher = createStopMatcher(stops);
  const results = texts.map((text) => matcher.scan(text));
  return {
    text: results.map(({ text }) => text).join('') + matcher.flush(),
    stopped: results.some(({ stopped }) => stopped),
  };
}

describe('createStopMatcher', () => {
  it('finds a stop string across pushes and shows nothing of it', () => {
    const matcher = createStopMatcher(['END']);
    expect(matcher.scan('the E')).toEqual({ text: 'the ', stopped: false });
    expect(matcher.scan('N')).toEqual({ text: '', stopped: false });
    expect(matcher.scan('D of it')).toEqual({ text: '', stopped: true });
    expect(matcher.scan('more')).toEqual({ text: '', stopped: true });
    expect(matcher.flush()).toBe('');
  });

  it('gives back what it held when the stop string does not come', () => {
    const matcher = createStopMatcher(['\n\nUser:']);
    expect(matcher.scan('a\n\nUs')).toEqual({ text: 'a', stopped: false });
    expect(matcher.scan('ed\n')).toEqual({ text: '\n\nUsed', stopped: false });
    expect(matcher.flush()).toBe('\n');
  });

  it('holds nothing back where nothing can begin a stop string', () => {
    expect(createStopMatcher([]).scan('text')).toEqual({ text: 'text', stopped: false });
    expect(createStopMatcher(['']).scan('text')).toEqual({ text: 'text', stopped: false });
  });

  it('agrees with searching the whole text, however it is cut', () => {
    const random = createRandom(7);
    const letters = (length: number): string => Array.from({ length }, () => 'aab😀'.charAt(random.below(5))).join('');
    let stops = 0;
    for (let trial = 0; trial < 3000; trial++) {
      const wanted = Array.from({ length: random.below(4) }, () => letters(1 + random.below(4)));
      const pushes = Array.from({ length: random.below(8) }, () => letters(random.below(4)));
      const result = stream(wanted, pushes);
      expect(result, JSON.stringify({ wanted, pushes })).toEqual(reference(wanted, pushes.join('')));
      if (result.stopped) stops++;
    }
    expect(stops).toBeGreaterThan(300);
  });

  it('holds back no more than could begin a stop string', () => {
    const random = createRandom(8);
    for (let trial = 0; trial < 500; trial++) {
      const stops = ['abab', 'bb', 'aaab'].slice(random.below(3));
      const matcher = createStopMatcher(stops);
      let all = '';
      let shown = '';
      for (let i = 0; i < 10; i++) {
        const text = 'ab'.charAt(random.below(2));
        const result = matcher.scan(text);
        if (result.stopped) break;
        all += text;
        shown += result.text;
        const held = all.slice(shown.length);
        expect(held === '' || stops.some((stop) => stop.startsWith(held))).toBe(true);
      }
    }
  });
});
