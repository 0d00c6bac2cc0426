import { TabserveError } from '../core/errors.ts';
import { settingsOf } from '../core/load-settings.ts';
import { addressOf } from '../core/protocol.ts';
import type { LoadOptions } from '../core/protocol.ts';
import { signatureOf } from '../download/signed-url.ts';
import type { ConnectedSession } from './session-registry.ts';
import { sourceKey } from './model-identity.ts';
import type { LoadModel } from './served-model.ts';

/**
 * The addresses by which sessions reach models: URLs with their signatures, access tokens, files. Each is kept while its
 * session lives. A signature expires, a token may lack a permission, a file may be deleted. So a model is loaded from the
 * best address, and if that is refused, from another. A load fails by a refusal only when every address was refused.
 */
export class ModelAddresses {
  readonly #given = new Map<ConnectedSession, LoadOptions>();
  readonly #refused = new WeakSet<LoadOptions>();

  /** A session has asked for a model at an address. */
  add(session: ConnectedSession, options: LoadOptions): void {
    this.#given.delete(session); // the last one given is the last in the map
    this.#given.set(session, options);
  }

  /** The session has gone. */
  delete(session: ConnectedSession): void {
    this.#given.delete(session);
  }

  /** A loader that tries one address after another. */
  loadFrom(load: LoadModel): LoadModel {
    return async (options, context) => {
      for (let address = this.#next(options) ?? options; ; ) {
        try {
          return await load({ ...settingsOf(options), ...addressOf(address) }, context);
        } catch (error) {
          if (!isRefusal(error)) throw error;
          this.#refuse(options, address);
          const next = this.#next(options);
          if (next === undefined) throw error;
          address = next;
        }
      }
    };
  }

  /** The best address that was not refused. Of equal ones, it is a file that is in use, or the last URL given. */
  #next(options: LoadOptions): LoadOptions | undefined {
    const addresses = this.#addressesOf(options);
    const all = typeof options.source === 'string' ? [options, ...addresses] : [...addresses, options];
    return all.filter((each) => !this.#refused.has(each)).toSorted((a, b) => worth(a) - worth(b)).at(-1);
  }

  #refuse(options: LoadOptions, address: LoadOptions): void {
    for (const each of [...this.#addressesOf(options), options]) if (isSame(each, address)) this.#refused.add(each);
  }

  #addressesOf(options: LoadOptions): readonly LoadOptions[] {
    const key = sourceKey(options);
    return [...this.#given.values()].filter((each) => sourceKey(each) === key);
  }
}

/** An address with a signature or a token is worth most, and one that has expired by its own words least. */
function worth({ source, hub }: LoadOptions): number {
  const signature = typeof source === 'string' ? signatureOf(source) : undefined;
  if (signature?.expires !== undefined && signature.expires <= Date.now()) return 0;
  return signature !== undefined || hub?.token !== undefined ? 2 : 1;
}

function isSame(a: LoadOptions, b: LoadOptions): boolean {
  return a.source === b.source && a.hub?.token === b.hub?.token;
}

/** Whether another address might be accepted. */
function isRefusal(error: unknown): boolean {
  return error instanceof TabserveError && (error.code === 'access_denied' || error.code === 'model_not_found');
}
