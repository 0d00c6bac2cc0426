import type { OwnerShare } from './engine-owner.ts';
import type { Rendezvous } from './rendezvous.ts';
import type { HostLink, Transport } from './transport.ts';

/** The engine in a dedicated Worker of one tab, which may be this one: its page is ready to run it as long as this is open. */
export class ElectedTransport implements Transport {
  readonly #rendezvous: Rendezvous;
  readonly #owner: OwnerShare;

  constructor(rendezvous: Rendezvous, owner: OwnerShare) {
    this.#rendezvous = rendezvous;
    this.#owner = owner;
  }

  async open(signal: AbortSignal): Promise<HostLink> {
    const { broken } = this.#owner;
    const peer = await this.#rendezvous.connect(AbortSignal.any([signal, broken]));
    return { ...peer, broken };
  }

  close(): void {
    this.#owner.release();
  }
}
