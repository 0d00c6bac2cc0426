import type { ModelSource } from '../../src/index.ts';

/** A model that the user, the address bar or the server chose. */
export interface ModelChoice {
  readonly source: ModelSource;
  /** What people call it. */
  readonly label: string;
  /** Random weights: what it says means nothing. */
  readonly babble: boolean;
}

/** Random weights in a file of its own beside the page (see test/support/tiny-model.ts, preset `babble`). */
export const BABBLE_MODEL: ModelChoice = { source: 'babble.gguf', label: 'Tiny test model', babble: true };

export function fileChoice(file: File): ModelChoice {
  return { source: file, label: file.name, babble: false };
}

/** A URL, a same-origin path or a hub name; `undefined` where it is neither. */
export function addressChoice(address: string): ModelChoice | undefined {
  const source = address.trim();
  if (source === BABBLE_MODEL.source) return BABBLE_MODEL;
  const hub = /^hf:[^/\s]+\/[^/\s]+\/[^\s@]+\.gguf(@\S+)?$/i.test(source);
  const url = /^https?:\/\/\S+$/i.test(source) || /^[./]?[^\s:]+\.gguf$/i.test(source);
  return hub || url ? { source, label: labelOf(source), babble: false } : undefined;
}

/** The choice that loads what another tab has loaded, under the name that it has here if it has one. */
export function loadedChoice(source: string, known: readonly ModelChoice[], baseUrl: string): ModelChoice {
  const isLoaded = (choice: ModelChoice): boolean =>
    typeof choice.source === 'string' && URL.canParse(choice.source, baseUrl) && new URL(choice.source, baseUrl).href === source;
  return known.find(isLoaded) ?? { source, label: labelOf(source), babble: false };
}

/** The file's name without the ending: what a model is called that nobody has named. */
export function labelOf(source: string): string {
  const path = source.replace(/[?#].*$/, '').replace(/@[^/@]*$/, '');
  const name = path.split('/').pop() ?? path;
  return decoded(name).replace(/\.gguf$/i, '') || source;
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name; // a % that stands for itself
  }
}
