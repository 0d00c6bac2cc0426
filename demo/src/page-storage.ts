/** The part of a Storage that the page uses. None of it throws. */
export type PageStorage = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;

/**
 * A storage of the browser's, or memory where it is refused: with cookies blocked, even to name `localStorage` throws.
 *
 * @param open names it
 */
export function pageStorage(open: () => PageStorage): PageStorage {
  const memory = new Map<string, string>();
  const attempt = <Result>(use: (storage: PageStorage) => Result, instead: () => Result): Result => {
    try {
      return use(open());
    } catch {
      return instead();
    }
  };
  return {
    getItem: (key) => memory.get(key) ?? attempt((storage) => storage.getItem(key), () => null),
    setItem: (key, value) => {
      memory.delete(key);
      attempt((storage) => storage.setItem(key, value), () => void memory.set(key, value));
    },
    removeItem: (key) => {
      memory.delete(key);
      attempt((storage) => storage.removeItem(key), () => {});
    },
  };
}
