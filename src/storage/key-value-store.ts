import { createStore, type UseStore } from 'idb-keyval';

const stores = new Map<string, UseStore>();

/** A store of IndexedDB, which idb-keyval never closes: one connection to each database, however often it is asked for. */
export function keyValueStore(database: string, name: string): UseStore {
  const store = stores.get(database) ?? createStore(database, name);
  stores.set(database, store);
  return store;
}
