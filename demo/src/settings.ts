export interface Settings {
  /** 0 is greedy. */
  readonly temperature: number;
  /** Tokens an answer may have. */
  readonly maxTokens: number;
  /** Empty: the model's own. */
  readonly systemPrompt: string;
}

export const DEFAULT_SETTINGS: Settings = { temperature: 0, maxTokens: 1024, systemPrompt: '' };

const STORAGE_KEY = 'tabserve.settings';

/** Settings live as long as the tab: every visit starts at temperature 0, so that answers can be compared. */
export function saveSettings(storage: Pick<Storage, 'setItem'>, settings: Settings): void {
  try {
    storage.setItem(STORAGE_KEY, JSON.stringify(settings));
  } catch {
    // Full or forbidden: the settings live on in memory.
  }
}

export function restoreSettings(storage: Pick<Storage, 'getItem'>): Settings {
  try {
    return { ...DEFAULT_SETTINGS, ...(JSON.parse(storage.getItem(STORAGE_KEY) ?? '{}') as Partial<Settings>) };
  } catch {
    return DEFAULT_SETTINGS;
  }
}
