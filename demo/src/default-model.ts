import type { ModelChoice } from './model-choice.ts';

/** The models that the page's server offers. */
export type DefaultModel =
  | { readonly available: true; readonly choice: ModelChoice; readonly bytes: number; readonly isFromHub?: boolean }
  | { readonly available: false; readonly reason: string };

/** Asks the page's server which model it has, or names on the hub. That it has no list is not an error. */
export async function findDefaultModel(): Promise<DefaultModel> {
  const url = new URL('models/index.json', document.baseURI);
  try {
    const response = await fetch(url, { cache: 'no-store' });
    if (!response.ok || !(response.headers.get('content-type') ?? '').includes('json')) {
      return { available: false, reason: 'This server has no model of its own.' };
    }
    return readIndex((await response.json()) as unknown, url);
  } catch (error) {
    return { available: false, reason: `The server's list of models could not be read: ${String(error)}` };
  }
}

function readIndex(index: unknown, base: URL): DefaultModel {
  const entry = (index as { default?: Record<string, unknown> }).default ?? {};
  const { name, url, bytes, available, reason } = entry;
  if (available !== true || typeof url !== 'string') {
    return { available: false, reason: typeof reason === 'string' ? reason : 'This server has no model of its own.' };
  }
  const label = typeof name === 'string' ? name : url;
  const isFromHub = url.startsWith('hf:');
  const choice = { source: isFromHub ? url : new URL(url, base).pathname, label, babble: false };
  return { available: true, choice, bytes: typeof bytes === 'number' ? bytes : 0, isFromHub };
}
