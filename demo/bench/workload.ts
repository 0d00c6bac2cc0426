import { seededRandom, type SeededRandom } from './seeded-random.mjs';

/**
 * Arrivals of a Poisson process, in milliseconds from the first one, which is at 0. The gaps are stretched alike to the
 * mean that the rate says (as vllm bench does): a few arrivals would else come at a rate of their own.
 *
 * @param rate arrivals a second
 */
export function poissonArrivals(seed: number, rate: number, count: number): readonly number[] {
  const random = seededRandom(seed);
  const gaps = Array.from({ length: Math.max(0, count - 1) }, () => -Math.log(1 - random.uniform()));
  const stretch = ((count - 1) * 1000) / rate / gaps.reduce((sum, gap) => sum + gap, 0);
  let time = 0;
  return [0, ...gaps.map((gap) => (time += gap * stretch))].slice(0, count);
}

/** Whole numbers, evenly from `mean * (1 - spread)` to `mean * (1 + spread)`. */
export function lengthsAround(seed: number, mean: number, spread: number, count: number): readonly number[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => Math.round(mean * (1 + spread * (2 * random.uniform() - 1))));
}

/** Short words, which most vocabularies have as one token each. */
const WORDS = (
  'time people water house story light night window morning world little machine question answer small long old ' +
  'river stone tree road hand city bird sun rain wind fire sea boat door garden letter music paper table winter'
).split(' ');

/** Seeded words in a row. */
export function wordsOf(random: SeededRandom, count: number): string {
  return Array.from({ length: count }, () => WORDS[random.below(WORDS.length)]).join(' ');
}

/** What a chat model answers at length. */
export function promptOf(seed: number, words: number): string {
  return `Write a very long story: ${wordsOf(seededRandom(seed), words)}`;
}

/** How a prompt's words become tokens: the chat template and the fixed words, then so many for each further word. */
export interface PromptScale {
  readonly overhead: number;
  readonly tokensPerWord: number;
}

interface Probe {
  readonly words: number;
  readonly tokens: number;
}

/** The scale through two prompts that were counted. */
export function scaleThrough(few: Probe, many: Probe): PromptScale {
  const tokensPerWord = (many.tokens - few.tokens) / (many.words - few.words);
  return { overhead: few.tokens - few.words * tokensPerWord, tokensPerWord };
}

/** How many words make a prompt of about so many tokens; at least one. */
export function wordsFor(tokens: number, { overhead, tokensPerWord }: PromptScale): number {
  return Math.max(1, Math.round((tokens - overhead) / tokensPerWord));
}
