import { afterEach, beforeEach, expect, type MockInstance, test, vi } from 'vitest';
import { TabserveError } from '../../../src/core/errors.ts';
import { ModelManager } from '../../../src/worker/model-manager.ts';
import { FakeOrigin } from '../../support/fake-origin.ts';
import { until } from '../../support/until.ts';

// The worker knows which pages are hidden: by the handshake, and by a call when that changes.

class FakeDocument extends EventTarget {
  visibilityState: DocumentVisibilityState = 'visible';

  show(visibilityState: DocumentVisibilityState): void {
    this.visibilityState = visibilityState;
    this.dispatchEvent(new Event('visibilitychange'));
  }
}

let page: FakeDocument;
let origin: FakeOrigin;
let attach: MockInstance<ModelManager['attach']>;

/** As the worker knows it of the session that connected last. */
const isHidden = (): boolean | undefined => attach.mock.calls.at(-1)?.[0].isHidden;

beforeEach(() => {
  page = new FakeDocument();
  vi.stubGlobal('document', page);
  attach = vi.spyOn(ModelManager.prototype, 'attach');
  origin = new FakeOrigin();
});

afterEach(() => {
  origin.close();
  attach.mockRestore();
  vi.unstubAllGlobals();
});

test('a page that is hidden and shown tells its worker, and after that one’s death the next', async () => {
  const session = await origin.connect();
  expect(isHidden()).toBe(false);
  page.show('hidden');
  await until(() => isHidden() === true);
  page.show('visible');
  await until(() => isHidden() === false);
  page.show('hidden');
  await until(() => isHidden() === true);
  const before = origin.workers;
  origin.kill();
  const again = session.call((host) => host.metrics());
  await until(() => origin.workers > before);
  await again;
  expect(isHidden()).toBe(true);
});

test('a page that is hidden from the start says so; one whose client is closed says nothing more', async () => {
  page.visibilityState = 'hidden';
  const session = await origin.connect();
  expect(isHidden()).toBe(true);
  await session.close(new TabserveError('closed', 'The client was closed.'));
  const said = vi.spyOn(ModelManager.prototype, 'visibilityChanged');
  page.show('visible');
  await new Promise((resolve) => setTimeout(resolve));
  expect(said).not.toHaveBeenCalled();
  expect(isHidden()).toBe(true);
  said.mockRestore();
});
