import type { PageStorage } from './page-storage.ts';

const STORAGE_KEY = 'tabserve.deleted';
/** The latest; one that is forgotten is at worst fetched again. */
const MOST = 100;

/** The models that somebody has deleted from this device, by their URLs: none of them is fetched again unasked. */
export class DeletedModels {
  readonly #storage: PageStorage;

  /** @param storage for all tabs and visits */
  constructor(storage: PageStorage) {
    this.#storage = storage;
  }

  has(url: string): boolean {
    return this.#read().includes(url);
  }

  add(...urls: readonly string[]): void {
    this.#write([...this.#read().filter((each) => !urls.includes(each)), ...urls]);
  }

  /** It is here again. */
  remove(url: string): void {
    const urls = this.#read();
    if (urls.includes(url)) this.#write(urls.filter((each) => each !== url));
  }

  #read(): readonly string[] {
    try {
      const stored: unknown = JSON.parse(this.#storage.getItem(STORAGE_KEY) ?? '[]');
      return Array.isArray(stored) ? stored.filter((each) => typeof each === 'string') : [];
    } catch {
      return [];
    }
  }

  #write(urls: readonly string[]): void {
    this.#storage.setItem(STORAGE_KEY, JSON.stringify(urls.slice(-MOST)));
  }
}
