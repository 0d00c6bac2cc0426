/** BroadcastChannels of one name, each in a tab or worker of its own. */
export class FakeChannels {
  /** The messages posted so far, by anyone. */
  readonly posted: unknown[] = [];
  readonly #open = new Set<FakeChannel>();
  readonly #deliver: (run: () => void) => void;

  /** @param deliver how a message travels. @default in a later microtask */
  constructor(deliver: (run: () => void) => void = queueMicrotask) {
    this.#deliver = deliver;
  }

  open(): FakeChannel {
    const channel = new FakeChannel((message) => {
      this.posted.push(message);
      const data: unknown = structuredClone(message);
      const others = [...this.#open].filter((other) => other !== channel);
      for (const other of others) this.#deliver(() => other.dispatchEvent(new MessageEvent('message', { data })));
    });
    this.#open.add(channel);
    return channel;
  }
}

type Post = Pick<BroadcastChannel, 'postMessage' | 'addEventListener'>;

class FakeChannel extends EventTarget {
  readonly postMessage: (message: unknown) => void;
  declare readonly addEventListener: Post['addEventListener'];

  constructor(post: (message: unknown) => void) {
    super();
    this.postMessage = post;
  }
}
