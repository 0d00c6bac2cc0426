import { expose } from 'comlink';
import { afterEach, expect, test, vi } from 'vitest';
import { Client } from '../../../src/client/client.ts';
import { ClientSession } from '../../../src/client/session.ts';
import type { Frame } from '../../../src/core/frames.ts';
import type { GenerateRequest } from '../../../src/core/protocol.ts';
import { FakeLocks } from '../../support/fake-locks.ts';

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

/** Values that a page may throw. */
const THROWN = [new Error('a bug in the page'), undefined, 'text', Object.create(null), {
  toString: () => {
    throw new Error('it cannot even be told');
  },
}] as const;

test.each(THROWN)('listeners that throw %o are reported, and lose no frame that comes behind', async (thrown) => {
  const told = vi.fn<(...args: unknown[]) => void>();
  vi.stubGlobal('reportError', told);
  await answerPast(thrown);
  // One line that came, and, of a status and of the progress, each a failure and the line that tells of it.
  expect(told.mock.calls).toEqual(Array(5).fill([thrown]));
});

test('where there is no reportError the console has them, and one that throws stops nothing either', async () => {
  expect('reportError' in globalThis).toBe(false);
  const told = vi.spyOn(console, 'error').mockImplementation(() => {
    throw new Error('a console of the page’s own');
  });
  await answerPast(THROWN[0]);
  expect(told.mock.calls.map(([, error]) => error)).toEqual(Array(5).fill(THROWN[0]));
});

/** An answer whose frames come in one batch with others, past listeners that all throw. */
async function answerPast(thrown: unknown): Promise<void> {
  const { port1, port2 } = new MessageChannel();
  const { locks } = new FakeLocks();
  void locks.request('worker', () => new Promise(() => {}));
  const generate = ({ requestId: request }: GenerateRequest) => {
    const frames: readonly Frame[] = [
      { type: 'log', level: 'warn', message: 'a line' },
      { type: 'status', status: { state: 'ready' } },
      { type: 'progress', progress: { stage: 'ready', bytesDone: 1, bytesTotal: 1, bytesPerSecond: 1, secondsLeft: 0 } },
      { type: 'token', request, choice: 0, index: 0, tokenId: 7, text: 'whole' },
      { type: 'finish', request, choice: 0, finishReason: 'stop', text: '', promptTokens: 1, cachedTokens: 0, completionTokens: 1, queueMs: 1 },
    ];
    port1.postMessage(frames);
    return { promptTokenIds: [1] };
  };
  expose({ connect: () => ({ lockName: 'worker', hasWebGpu: true }), load: () => ({ id: 'm' }), generate }, port1);
  port2.start();
  const never = new AbortController().signal;
  const transport = { open: async () => ({ link: port2, hostLock: undefined, broken: never }), close: () => {} };
  const session = await ClientSession.open(transport, locks, never);
  const fail = (): never => {
    throw thrown;
  };
  const client = new Client(session, await session.load({ source: 'm' }, fail), ['m']);
  client.onLog(fail);
  client.onStatus(fail);
  const { choices } = await client.chat.completions.create({ messages: [{ role: 'user', content: 'Hi' }] });
  expect(choices[0]?.message.content).toBe('whole');
  port1.close();
  port2.close();
}
