import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ReactiveControllerHost } from 'lit';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { ChatController } from '../../../demo/src/chat-controller.ts';
import type { ModelState } from '../../../demo/src/model-switch.ts';
import { isAtHand, isRedirected } from '../../../demo/src/model-link.ts';
import { FakeClient, fakeEnvironment, memoryCache } from '../../support/fake-chat.ts';

const stored = (url: string, bytesCached = 10, name = url) => ({ url, name, size: 10, bytesCached, lastUsed: 0 });
const SIGNATURE = (text: string): string => `X-Amz-Date=20260101T000000Z&X-Amz-Expires=60&X-Amz-Signature=${text}`;

describe('the default model is loaded unasked', () => {
  const AT_COMMIT = 'https://huggingface.co/a/b/resolve/0123/c.gguf';
  const fromHub = { source: 'hf:a/b/c.gguf@0123', label: 'c', babble: false };
  const own = { source: '/models/c.gguf', label: 'c', babble: false };

  test.each([
    ['the server has it itself', own, memoryCache(), true],
    ['it is on the device', fromHub, memoryCache([stored(AT_COMMIT)]), true],
    ['not where a part of it is missing', fromHub, memoryCache([stored(AT_COMMIT, 9)]), false],
    ['not where another revision is there', fromHub, memoryCache([stored(AT_COMMIT.replace('0123', '4567'))]), false],
    ['not where the storage cannot be read', fromHub, { list: () => Promise.reject(new Error('no')) }, false],
  ] as const)('if %s', async (_when, choice, cache, expected) => {
    expect(await isAtHand(choice, { baseUrl: 'https://page.test/', cache })).toBe(expected);
  });
});

/** What a page does of itself that is opened by a link: what it loads, which addresses of its own it tries, what it shows. */
async function followed(address: string, models = [stored('https://other.test/kept.gguf')], redirected: readonly string[] = []) {
  const loads: unknown[] = [];
  const asked: string[] = [];
  const host: ReactiveControllerHost = {
    addController: () => {}, removeController: () => {}, requestUpdate: () => {}, updateComplete: Promise.resolve(true),
  };
  const chat = new ChatController(host, fakeEnvironment({
    baseUrl: `https://page.test/app/?model=${encodeURIComponent(address)}`,
    createClient: async ({ model }) => {
      loads.push(model);
      return new FakeClient([]);
    },
    cache: memoryCache(models),
    listRepository: () => Promise.reject(new Error('the hub was asked')),
    isRedirected: async (url) => {
      asked.push(url);
      return redirected.includes(url);
    },
  }));
  await chat.start(address);
  return { chat, loads, asked, link: linkIn(chat.model) };
}

const linkIn = (model: ModelState) => (model.kind === 'none' && model.offer?.why === 'linked' ? model.offer.link : undefined);

describe('a link by itself', () => {
  test.each([
    ['https://evil.example/dir/SmolLM2.gguf', 'evil.example', 'https://evil.example/dir/SmolLM2.gguf'],
    ['HTTPS://Evil.Example:8443/a.gguf', 'evil.example:8443', 'https://evil.example:8443/a.gguf'],
    ['//evil.example/a.gguf', 'evil.example', 'https://evil.example/a.gguf'],
    ['/\\evil.example/a.gguf', 'evil.example', 'https://evil.example/a.gguf'],
    ['\\\\evil.example/a.gguf', 'evil.example', 'https://evil.example/a.gguf'],
    ['http://page.test/a.gguf', 'page.test', 'http://page.test/a.gguf'],
    ['https://page.test:444/a.gguf', 'page.test:444', 'https://page.test:444/a.gguf'],
    ['https://page.test.evil.example/a.gguf', 'page.test.evil.example', 'https://page.test.evil.example/a.gguf'],
    ['https://huggingfасe.co/a.gguf', 'xn--huggingfe-7yh1q.co', 'https://xn--huggingfe-7yh1q.co/a.gguf'],
    ['https://evil.example/%E2%80%AEfugg.gguf', 'evil.example', 'https://evil.example/%E2%80%AEfugg.gguf'],
    ['https://evil.example/\u202efugg.gguf', 'evil.example', 'https://evil.example/%E2%80%AEfugg.gguf'],
    ['hf:owner/repo/file.gguf', 'huggingface.co', 'https://huggingface.co/owner/repo/resolve/main/file.gguf'],
    ['https://other.test/kept.gguf?version=2', 'other.test', 'https://other.test/kept.gguf?version=2'],
    [`https://evil.example/a.gguf?${SIGNATURE('secret')}`, 'evil.example', 'https://evil.example/a.gguf'],
    ['owner/repo', 'huggingface.co', 'https://huggingface.co/owner/repo'],
    ['hf:owner/repo@refs/pr/1', 'huggingface.co', 'https://huggingface.co/owner/repo/tree/refs%2Fpr%2F1'],
  ])('to %s loads nothing and asks nobody, and says where it leads', async (address, host, url) => {
    const { loads, asked, link, chat } = await followed(address);
    expect({ loads, asked, repository: chat.repository.state }).toEqual({ loads: [], asked: [], repository: undefined });
    expect(link).toMatchObject({ host, url });
  });

  test.each(['https://user:password@evil.example/a.gguf', 'https:\\\\evil.example\\a.gguf', 'blob:https://page.test/a.gguf', 'data:,a.gguf', 'javascript:a.gguf', 'https://'])(
    'to %s is none to a model', async (address) => {
      const { chat, loads, asked } = await followed(address);
      expect({ loads, asked }).toEqual({ loads: [], asked: [] });
      expect(chat.model).toMatchObject({ kind: 'failed', problem: { code: 'invalid_request' } });
    });

  test('loads it when it is asked to, secrets included', async () => {
    const address = `https://evil.example/a.gguf?${SIGNATURE('secret')}`;
    const { chat, loads, link } = await followed(address);
    if (link?.kind !== 'model') throw new Error('it names a model');
    await chat.models.load(link.choice);
    expect(loads).toEqual([address]);
  });

  test.each([
    ['a file of this site', 'models/a.gguf', 'https://page.test/app/models/a.gguf'],
    ['a URL of this site', 'https://page.test/a.gguf', 'https://page.test/a.gguf'],
  ])('loads %s', async (_what, address, url) => {
    const { loads, asked } = await followed(address);
    expect({ loads, asked }).toEqual({ loads: [address], asked: [url] });
  });

  test('loads none that this site leads elsewhere for', async () => {
    const { loads, link } = await followed('/go?to=//evil.example/.gguf', [], ['https://page.test/go?to=//evil.example/.gguf']);
    expect(loads).toEqual([]);
    expect(link).toMatchObject({ host: 'page.test', isRedirected: true });
  });

  test.each([
    ['a URL', 'https://other.test/kept.gguf', 'https://other.test/kept.gguf'],
    ['a URL that is signed anew', `https://other.test/kept.gguf?${SIGNATURE('another')}`, 'https://other.test/kept.gguf'],
    ['a file of the hub', 'hf:o/r/a@b.gguf@main', 'https://huggingface.co/o/r/resolve/0123/a%40b.gguf', 'https://huggingface.co/o/r/resolve/main/a%40b.gguf'],
  ])('loads what is stored whole: %s', async (_what, address, url, name = url) => {
    const whole = await followed(address, [stored(url, 10, name)]);
    expect({ loads: whole.loads, asked: whole.asked }).toEqual({ loads: [address], asked: [] });
    expect((await followed(address, [stored(url, 9, name)])).loads).toEqual([]);
  });
});

describe('an address of this site', () => {
  test('is known to lead elsewhere without going there, and its file is not read', async () => {
    const fetching = vi.spyOn(globalThis, 'fetch');
    onTestFinished(() => fetching.mockRestore());
    const seen: string[] = [];
    const site = await listen((request, response) => {
      seen.push(`${request.url} ${request.headers.range}`);
      if (request.url === '/there') return void response.writeHead(302, { location: '/elsewhere' }).end();
      response.writeHead(200).write('GGUF'); // and never ends
    });
    expect([await isRedirected(`${site}/there`), await isRedirected(`${site}/file`)]).toEqual([true, false]);
    expect(fetching.mock.calls.map(([, init]) => init?.signal?.aborted)).toEqual([true, true]);
    expect(seen).toEqual(['/there bytes=0-0', '/file bytes=0-0']);
  });
});

async function listen(handler: Parameters<typeof createServer>[1] & object): Promise<string> {
  const server: Server = createServer(handler);
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
