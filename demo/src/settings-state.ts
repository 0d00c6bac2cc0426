import { PAGE_DEFAULT, type Recommendation } from './known-models.ts';
import type { PageStorage } from './page-storage.ts';
import { defaultSettings, forgetSettings, restoreSettings, saveSettings, type Settings, type SettingsChange } from './settings.ts';

/** The settings in force: the model's recommendation, over it what has been set, over that what the address sets. */
export class SettingsState {
  values: Settings;
  recommendation: Recommendation = PAGE_DEFAULT;
  readonly #storage: PageStorage;
  #set: SettingsChange;
  #setByAddress: SettingsChange = {};

  /** @param storage for all tabs and visits */
  constructor(storage: PageStorage) {
    this.#storage = storage;
    this.#set = restoreSettings(storage);
    this.values = this.#inForce();
  }

  /** Whether anything has been set. */
  get isChanged(): boolean {
    return Object.keys({ ...this.#set, ...this.#setByAddress }).length > 0;
  }

  /** Another model has been loaded. */
  recommend(recommendation: Recommendation): void {
    this.recommendation = recommendation;
    this.values = this.#inForce();
  }

  /** For this visit, and until it is set otherwise. */
  setByAddress(change: SettingsChange): void {
    this.#setByAddress = change;
    this.values = this.#inForce();
  }

  change(change: SettingsChange): void {
    this.#set = { ...this.#set, ...change };
    this.#setByAddress = Object.fromEntries(Object.entries(this.#setByAddress).filter(([name]) => !Object.hasOwn(change, name)));
    saveSettings(this.#storage, change);
    this.values = this.#inForce();
  }

  reset(): void {
    this.#set = {};
    this.#setByAddress = {};
    forgetSettings(this.#storage);
    this.values = this.#inForce();
  }

  #inForce(): Settings {
    return { ...defaultSettings(this.recommendation.sampling), ...this.#set, ...this.#setByAddress };
  }
}
