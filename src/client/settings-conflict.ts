import type { LoadSettings } from '../core/load-settings.ts';

/**
 * A message where another tab has loaded the model with other settings than this one asks for; undefined where it has
 * not.
 */
export function settingsConflict({ persistPrefixCache, ...asked }: LoadSettings, held: LoadSettings): string | undefined {
  const settings: Readonly<Record<string, unknown>> = { ...held };
  // Plain data from the worker, so objects are compared by their content.
  const isOther = ([name, value]: readonly [string, unknown]): boolean => JSON.stringify(value) !== JSON.stringify(settings[name]);
  // An opt-out holds, whatever the other tab has said.
  const all = persistPrefixCache ? { ...asked, persistPrefixCache } : asked;
  const names = Object.entries(all).filter(isOther).map(([name]) => name);
  if (names.length === 0) return undefined;
  return `Another tab has loaded this model before, with other settings than asked for here (${names.join(', ')}): those hold.`;
}
