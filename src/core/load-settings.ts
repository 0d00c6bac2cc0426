import { TabserveError } from './errors.ts';
import { KV_CACHE_DTYPES } from './kv-cache-dtype.ts';
import { NUMERICS } from './numerics.ts';
import type { LoadSettings } from './protocol.ts';
import { TUNINGS } from './tuning.ts';

/** What a setting may be. */
interface Rule {
  readonly allows: (value: unknown) => boolean;
  /** In words. */
  readonly allowed: string;
}

const BYTES: Rule = { allows: isPositive, allowed: 'a number of bytes' };

const RULES: Readonly<Record<keyof LoadSettings, Rule>> = {
  kvCacheBytes: { allows: (value) => value === 'auto' || isPositive(value), allowed: 'a number of bytes or "auto"' },
  gpuMemoryBytes: BYTES,
  kvCacheDtype: oneOf(KV_CACHE_DTYPES),
  numerics: oneOf(NUMERICS),
  maxModelLen: { allows: (value) => Number.isInteger(value) && isPositive(value), allowed: 'a number of tokens' },
  persistPrefixCache: {
    allows: (value) => typeof value === 'boolean' || isPositive((value as { maxBytes?: unknown } | null)?.maxBytes),
    allowed: 'true, false or { maxBytes }, with a number of bytes',
  },
  tuning: oneOf(TUNINGS),
  chatTemplate: {
    allows: (value) => typeof value === 'string' && value.trim() !== '',
    allowed: 'the Jinja source of a chat template, which is not blank',
  },
};

/**
 * Refuses settings that mean nothing on any machine. Callers without types may pass anything.
 *
 * @throws TabserveError `invalid_request`; `param` names the setting
 */
export function checkLoadSettings(settings: Readonly<Partial<Record<keyof LoadSettings, unknown>>>): void {
  for (const [param, { allows, allowed }] of Object.entries(RULES) as [keyof LoadSettings, Rule][]) {
    const value = settings[param];
    if (value === undefined || allows(value)) continue;
    throw new TabserveError('invalid_request', `${param} is ${inWords(value)}; give ${allowed}.`, { param });
  }
}

function isPositive(value: unknown): boolean {
  return typeof value === 'number' && value > 0 && value < Infinity;
}

function oneOf(values: readonly string[]): Rule {
  return { allows: (value) => values.some((one) => one === value), allowed: `one of ${values.join(', ')}` };
}

/** Nothing of an object: it may be circular. */
function inWords(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  return value === null || ['number', 'boolean'].includes(typeof value) ? String(value) : `of type ${typeof value}`;
}
