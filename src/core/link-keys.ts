import { TabserveError } from './errors.ts';

/** The keys of one end of a link: one for each direction. */
export interface LinkKeys {
  readonly send: CryptoKey;
  readonly receive: CryptoKey;
}

/** An end of a link that is to be, as the other one knows it. */
export interface LinkEnd {
  readonly address: string;
  /** Made by {@link KeyExchange}; everybody may know it. */
  readonly publicKey: string;
}

/** Not every browser has X25519. */
const CURVE = 'P-256';

/**
 * Agrees on a link's keys over a channel that everybody hears: ECDH, then HKDF over both ends' addresses and public keys.
 * The private key cannot leave WebCrypto.
 */
export class KeyExchange {
  readonly publicKey: string;
  readonly #privateKey: CryptoKey;

  private constructor(publicKey: string, privateKey: CryptoKey) {
    this.publicKey = publicKey;
    this.#privateKey = privateKey;
  }

  /** @throws TabserveError `webgpu_unavailable` where there is no WebCrypto: it takes a secure page, as WebGPU does */
  static async begin(): Promise<KeyExchange> {
    if ((crypto as Partial<Crypto>).subtle === undefined) {
      const message =
        'This page has no WebCrypto (crypto.subtle), by which what tabs say to each other is encrypted. ' +
        'Serve it over https: or from http://localhost.';
      throw new TabserveError('webgpu_unavailable', message);
    }
    const { subtle } = crypto;
    const { publicKey, privateKey } = await subtle.generateKey({ name: 'ECDH', namedCurve: CURVE }, false, ['deriveBits']);
    const { x, y } = await subtle.exportKey('jwk', publicKey);
    return new KeyExchange(`${x}.${y}`, privateKey);
  }

  /**
   * The keys for a link from here.
   *
   * @param role which of the two ends this is
   * @throws DOMException where the other end's public key is none
   */
  async agree(role: 'tab' | 'worker', ends: { readonly tab: LinkEnd; readonly worker: LinkEnd }): Promise<LinkKeys> {
    const { subtle } = crypto;
    const { tab, worker } = ends;
    const [x, y] = (role === 'tab' ? worker : tab).publicKey.split('.');
    const jwk = { kty: 'EC', crv: CURVE, x, y } as JsonWebKey;
    const remote = await subtle.importKey('jwk', jwk, { name: 'ECDH', namedCurve: CURVE }, false, []);
    const shared = await subtle.deriveBits({ name: 'ECDH', public: remote }, this.#privateKey, 256);
    const secret = await subtle.importKey('raw', shared, 'HKDF', false, ['deriveKey']);
    const encoder = new TextEncoder();
    const salt = encoder.encode(JSON.stringify([tab.address, tab.publicKey, worker.address, worker.publicKey]));
    const keyTo = (end: 'tab' | 'worker'): Promise<CryptoKey> => {
      const hkdf = { name: 'HKDF', hash: 'SHA-256', salt, info: encoder.encode(`tabserve link to the ${end}`) };
      return subtle.deriveKey(hkdf, secret, { name: 'AES-GCM', length: 256 }, false, [end === role ? 'decrypt' : 'encrypt']);
    };
    const [toTab, toWorker] = await Promise.all([keyTo('tab'), keyTo('worker')]);
    return role === 'tab' ? { send: toWorker, receive: toTab } : { send: toTab, receive: toWorker };
  }
}

/**
 * Encrypts the link's message of that number. A number must not be used twice.
 *
 * @param additionalData authenticated with it: the link that the message belongs to
 */
export function encrypt(key: CryptoKey, number: number, additionalData: string, text: string): Promise<ArrayBuffer> {
  return crypto.subtle.encrypt(parameters(number, additionalData), key, new TextEncoder().encode(text));
}

/** @throws DOMException where it is not what was encrypted with this key, number and additional data */
export async function decrypt(key: CryptoKey, number: number, additionalData: string, ciphertext: ArrayBuffer): Promise<string> {
  return new TextDecoder().decode(await crypto.subtle.decrypt(parameters(number, additionalData), key, ciphertext));
}

function parameters(number: number, additionalData: string): AesGcmParams {
  const iv = new Uint8Array(12);
  new DataView(iv.buffer).setBigUint64(4, BigInt(number));
  return { name: 'AES-GCM', iv, additionalData: new TextEncoder().encode(additionalData) };
}
