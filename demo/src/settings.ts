import type { RecommendedSampling } from '../../src/index.ts';
import type { ChatRequest } from './contract.ts';
import { isRecord } from './is-record.ts';
import type { PageStorage } from './page-storage.ts';

/** The sampling settings. Settings with neutral values are not sent. */
export interface Settings {
  /** 0 is greedy. */
  readonly temperature: number;
  /** 1: all tokens. */
  readonly topP: number;
  /** 0: all tokens. */
  readonly topK: number;
  /** 0: all tokens. */
  readonly minP: number;
  /** 1: none. */
  readonly repetitionPenalty: number;
  /** 0: none. */
  readonly presencePenalty: number;
  /** 0: none. */
  readonly frequencyPenalty: number;
  /** `null`: another one for each answer. */
  readonly seed: number | null;
  /** Tokens an answer may have. */
  readonly maxTokens: number;
  /** Texts at which an answer ends. */
  readonly stop: readonly string[];
  /** Empty: the model's own. */
  readonly systemPrompt: string;
}

/** The user's settings, which replace the defaults. */
export type SettingsChange = Partial<Settings>;

/** Without anybody's recommendation: the request's own defaults, but for the length. */
const NEUTRAL: Settings = {
  temperature: 1, topP: 1, topK: 0, minP: 0, repetitionPenalty: 1, presencePenalty: 0, frequencyPenalty: 0, seed: null,
  maxTokens: 1024, stop: [], systemPrompt: '',
};

/** The defaults: the model's recommendation, with neutral values where it has none. */
export function defaultSettings({ temperature, top_p, top_k, min_p, repetition_penalty }: RecommendedSampling): Settings {
  return {
    ...NEUTRAL,
    temperature: temperature ?? NEUTRAL.temperature,
    topP: top_p ?? NEUTRAL.topP,
    topK: top_k ?? NEUTRAL.topK,
    minP: min_p ?? NEUTRAL.minP,
    repetitionPenalty: repetition_penalty ?? NEUTRAL.repetitionPenalty,
  };
}

/** The range that the engine accepts; `whole` marks integers. */
export const LIMITS = {
  temperature: { min: 0, max: 2 },
  topP: { min: 0.01, max: 1 },
  topK: { min: 0, max: 1_000_000, whole: true },
  minP: { min: 0, max: 1 },
  repetitionPenalty: { min: 0.01, max: 100 },
  presencePenalty: { min: -2, max: 2 },
  frequencyPenalty: { min: -2, max: 2 },
  seed: { min: 0, max: 2 ** 32 - 1, whole: true },
  maxTokens: { min: 1, max: 8192, whole: true },
} as const satisfies Partial<Record<keyof Settings, { min: number; max: number; whole?: true }>>;

export type NumberSetting = keyof typeof LIMITS;

export const MAX_STOPS = 4;

/** The value that is nearest to what was asked for; `undefined` for what is no number. */
export function withinLimits(name: NumberSetting, value: unknown): number | undefined {
  if (typeof value !== 'number' || !Number.isFinite(value)) return undefined;
  const { min, max, ...rest } = LIMITS[name];
  return Math.min(max, Math.max(min, 'whole' in rest ? Math.round(value) : value));
}

/** 32 bits. */
export function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
}

/** The request's parameters: those that say something, and the seed that was set or another one each time. */
export function samplingOf(settings: Settings): Omit<ChatRequest, 'messages' | 'stream'> {
  const { temperature, topP, topK, minP, repetitionPenalty, presencePenalty, frequencyPenalty, seed, maxTokens, stop } = settings;
  return {
    temperature,
    seed: seed ?? randomSeed(),
    max_tokens: maxTokens,
    ...(topP < 1 ? { top_p: topP } : {}),
    ...(topK > 0 ? { top_k: topK } : {}),
    ...(minP > 0 ? { min_p: minP } : {}),
    ...(repetitionPenalty === 1 ? {} : { repetition_penalty: repetitionPenalty }),
    ...(presencePenalty === 0 ? {} : { presence_penalty: presencePenalty }),
    ...(frequencyPenalty === 0 ? {} : { frequency_penalty: frequencyPenalty }),
    ...(stop.length === 0 ? {} : { stop }),
  };
}

const STORAGE_KEY = 'tabserve.settings.changed';
/** Where earlier releases kept every setting, changed or not. */
const OLD_KEY = 'tabserve.settings';
const OLD_DEFAULTS: Settings = { ...NEUTRAL, temperature: 0 };

/** Keeps what has been set, on top of what another tab may have set since. */
export function saveSettings(storage: PageStorage, change: SettingsChange): void {
  storage.setItem(STORAGE_KEY, JSON.stringify({ ...restoreSettings(storage), ...change }));
}

export function forgetSettings(storage: PageStorage): void {
  storage.removeItem(OLD_KEY);
  storage.removeItem(STORAGE_KEY);
}

/** The stored settings; invalid ones are ignored. */
export function restoreSettings(storage: PageStorage): SettingsChange {
  const stored = storage.getItem(STORAGE_KEY);
  if (stored !== null) return parseChange(stored);
  const old = parseChange(storage.getItem(OLD_KEY) ?? '{}');
  const isSet = ([name, value]: readonly [string, unknown]): boolean =>
    JSON.stringify(value) !== JSON.stringify(OLD_DEFAULTS[name as keyof Settings]);
  return Object.fromEntries(Object.entries(old).filter(isSet));
}

/** The settings of an address: `?temperature=0` makes answers greedy, for this visit. */
export function settingsOf(address: URLSearchParams): SettingsChange {
  const text = address.get('temperature')?.trim() ?? '';
  const temperature = text === '' ? undefined : withinLimits('temperature', Number(text));
  return temperature === undefined ? {} : { temperature };
}

function parseChange(json: string): SettingsChange {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return {};
  }
  if (!isRecord(value)) return {};
  const { seed, stop, systemPrompt } = value;
  const numbers = (Object.keys(LIMITS) as NumberSetting[]).flatMap((name) => {
    const number = withinLimits(name, value[name]);
    return number === undefined ? [] : [[name, number] as const];
  });
  return {
    ...(Object.fromEntries(numbers) as Partial<Pick<Settings, NumberSetting>>),
    ...(seed === null ? { seed } : {}),
    ...(Array.isArray(stop) && stop.every((text) => typeof text === 'string') ? { stop: stop.slice(0, MAX_STOPS) } : {}),
    ...(typeof systemPrompt === 'string' ? { systemPrompt } : {}),
  };
}
