import { expect, test } from 'vitest';
import type { Frame } from '../../../src/core/frames.ts';
import type { Link } from '../../../src/core/link.ts';
import { Session } from '../../../src/worker/session.ts';
import { FakeLocks } from '../../support/fake-locks.ts';
import { bytes, END, FakeLoader } from '../../support/fake-model.ts';
import { openManager } from '../../support/tab.ts';

const settle = () => new Promise<void>((resolve) => setTimeout(resolve));

class FakeLink extends EventTarget implements Link {
  readonly frames: Frame[] = [];
  isGone = false;

  postMessage(batch: unknown): void {
    if (this.isGone) throw new DOMException('The channel is closed.', 'InvalidStateError');
    this.frames.push(...(batch as readonly Frame[]));
  }

  start(): void {}
  close(): void {}
}

test('a link that cannot be posted to costs no other tab anything', async () => {
  const loader = new FakeLoader();
  const { locks } = new FakeLocks();
  const manager = openManager({ loadModel: loader.loadModel, locks, sleep: settle });
  const links = [new FakeLink(), new FakeLink()] as const;
  const sessions = links.map((link, i) => {
    void locks.request(`tab ${i}`, () => new Promise(() => {}));
    return new Session({ manager, locks, link, hello: { lockName: 'worker', hasWebGpu: true }, die: () => {} });
  });
  for (const [i, session] of sessions.entries()) {
    await session.connect({ sessionId: `${i}`, lockName: `tab ${i}`, isHidden: false, handshake: 0 });
    const loading = session.load({ source: 'm' });
    await settle();
    loader.last.finish();
    await loading;
    await session.generate({ requestId: `r${i}`, prompt: { text: 'Hi' }, maxTokens: undefined, temperature: 0, seed: 1, stop: [] });
  }
  links[0].isGone = true;
  loader.last.engine.step({ id: 'r0', tokens: bytes('lost') }, { id: 'r1', tokens: bytes('here') });
  await settle();
  loader.last.engine.step({ id: 'r1', tokens: [END], finish: 'stop' });
  await settle();
  expect(links[1].frames.at(-1)).toMatchObject({ type: 'finish', request: 'r1', finishReason: 'stop' });
  expect(manager.metrics().models).toMatchObject([{ state: 'ready' }]);
});
