import { askedSizes } from '../asked-sizes.mjs';
import type { BenchOptions } from '../figures.ts';
import type { PagePart } from '../page-parts.ts';
import type { Bench } from '../suite.ts';
import type { Suite } from './benchmark-run.ts';
import { resultOfPart } from './part-rows.ts';

/** The window of suite.html. */
interface SuiteWindow extends Window {
  readonly console: Console;
  readonly bench?: Bench;
}

/** How long the suite's page may take to load. */
const LOAD_TIMEOUT_MS = 30_000;

/** What is to be measured. */
export interface SuiteOptions {
  readonly model: { readonly url: string; readonly label: string };
  readonly quick: boolean;
}

/**
 * The suite in a frame of its own, so that all that it holds (workers, sessions, the GPU) goes when the frame does.
 *
 * @param onNote called with each line that the suite prints
 * @throws Error where its page does not load
 */
export async function openSuiteFrame({ model, quick }: SuiteOptions, onNote: (note: string) => void): Promise<Suite> {
  const frame = document.createElement('iframe');
  frame.src = new URL('suite.html', document.baseURI).href;
  frame.title = 'The suite at work';
  frame.className = 'suite-frame';
  frame.tabIndex = -1;
  document.body.append(frame);
  try {
    await loaded(frame);
    const suite = frame.contentWindow as SuiteWindow | null;
    if (suite?.bench === undefined) throw new Error('The suite’s page did not start.');
    suite.console.log = (line: unknown) => onNote(String(line));
    const { bench } = suite;
    const options: BenchOptions = { ...askedSizes(quick), modelUrl: model.url, keepsModel: true };
    return {
      measure: async (name) => {
        const part = name as PagePart;
        return resultOfPart(part, await bench.measure(part, options), options, model.label);
      },
      close: () => frame.remove(),
    };
  } catch (error) {
    frame.remove();
    throw error;
  }
}

function loaded(frame: HTMLIFrameElement): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('The suite’s page did not load.')), LOAD_TIMEOUT_MS);
    frame.addEventListener('load', () => {
      clearTimeout(timer);
      resolve();
    }, { once: true });
  });
}
