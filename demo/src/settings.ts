import type { ChatRequest } from './contract.ts';
import { isRecord } from './is-record.ts';
import type { PageStorage } from './page-storage.ts';

/** How answers are made. What asks for nothing is not sent. */
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

export const DEFAULT_SETTINGS: Settings = {
  temperature: 0, topP: 1, topK: 0, minP: 0, repetitionPenalty: 1, presencePenalty: 0, frequencyPenalty: 0, seed: null,
  maxTokens: 1024, stop: [], systemPrompt: '',
};

/** What the engine takes, at least and at most; `whole` numbers only where it says so. */
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

/** The request's parameters: those that say something. */
export function samplingOf(settings: Settings): Omit<ChatRequest, 'messages' | 'stream'> {
  const { temperature, topP, topK, minP, repetitionPenalty, presencePenalty, frequencyPenalty, seed, maxTokens, stop } = settings;
  return {
    temperature,
    max_tokens: maxTokens,
    ...(topP < 1 ? { top_p: topP } : {}),
    ...(topK > 0 ? { top_k: topK } : {}),
    ...(minP > 0 ? { min_p: minP } : {}),
    ...(repetitionPenalty === 1 ? {} : { repetition_penalty: repetitionPenalty }),
    ...(presencePenalty === 0 ? {} : { presence_penalty: presencePenalty }),
    ...(frequencyPenalty === 0 ? {} : { frequency_penalty: frequencyPenalty }),
    ...(seed === null ? {} : { seed }),
    ...(stop.length === 0 ? {} : { stop }),
  };
}

const STORAGE_KEY = 'tabserve.settings';

/** Keeps what has been changed, on top of what another tab may have changed since. */
export function saveSettings(storage: PageStorage, change: Partial<Settings>): void {
  storage.setItem(STORAGE_KEY, JSON.stringify({ ...restoreSettings(storage), ...change }));
}

/** What is kept; a setting that is missing or makes no sense is the default's. */
export function restoreSettings(storage: PageStorage): Settings {
  try {
    return parseSettings(JSON.parse(storage.getItem(STORAGE_KEY) ?? '{}'));
  } catch {
    return DEFAULT_SETTINGS;
  }
}

function parseSettings(value: unknown): Settings {
  if (!isRecord(value)) return DEFAULT_SETTINGS;
  const numbers = (Object.keys(LIMITS) as NumberSetting[]).map((name) =>
    [name, withinLimits(name, value[name]) ?? DEFAULT_SETTINGS[name]]);
  const { stop, systemPrompt } = value;
  return {
    ...DEFAULT_SETTINGS,
    ...(Object.fromEntries(numbers) as Pick<Settings, NumberSetting>),
    stop: Array.isArray(stop) && stop.every((text) => typeof text === 'string') ? stop.slice(0, MAX_STOPS) : [],
    systemPrompt: typeof systemPrompt === 'string' ? systemPrompt : '',
  };
}
