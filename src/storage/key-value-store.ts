import { createStore, type UseStore } from 'idb-keyval';

const stores = new Map<string, UseStore>();

/** A store of IndexedDB. idb-keyval never closes a connection, so this keeps one for each database. */
export function keyValueStore(database: string, name: string): UseStore {
  const store = stores.get(database) ?? createStore(database, name);
  stores.set(database, store);
  return store;
}
