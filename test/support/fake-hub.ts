import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { startFileServer } from './file-server.ts';
import type { FileServer } from './file-server.ts';

/** A repository as its hub sees it. */
export interface FakeRepo {
  /** Branches and tags, each at a commit. */
  readonly revisions: Record<string, string>;
  /** The files of each commit. */
  readonly commits: Record<string, Record<string, FakeFile>>;
  /** A token that is required to read it. @default anyone may */
  token?: string;
}

export interface FakeFile {
  readonly content: Uint8Array;
  /** The commit that last changed it. */
  readonly lastCommit: string;
  /** The SHA-256 that the hub reports, where that is wrong. */
  readonly oid?: string;
}

/** A server that speaks the hub's protocol, and the other one, of another origin, that it redirects downloads to. */
export interface FakeHub {
  readonly server: FileServer;
  readonly cdn: FileServer;
  readonly repos: Map<string, FakeRepo>;
  /** Questions answered, those that a browser asks before it sends a token left out. */
  readonly questions: string[];
  /** This status instead of any answer about a repository; 0: the connection is cut. */
  status: number | undefined;
  close(): Promise<void>;
}

const API = /^\/api\/models\/(?<repo>[^/]+\/[^/]+)\/(?<what>paths-info|tree)\/(?<revision>[^/?]+)/;
const RESOLVE = /^\/(?<repo>[^/]+\/[^/]+)\/resolve\/(?<revision>[^/]+)\/(?<path>.+)$/;

export async function startFakeHub(): Promise<FakeHub> {
  const cdn = await startFileServer();
  const hub: Omit<FakeHub, 'server'> = { cdn, repos: new Map(), questions: [], status: undefined, close: async () => {} };
  const server = await startFileServer({}, (request, response) => answer(hub, request, response));
  // The server's own object, so that its state is one with what the routes see.
  return Object.assign(hub, { server, close: async () => void (await Promise.all([server.close(), cdn.close()])) });
}

async function answer(
  hub: Omit<FakeHub, 'server'>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> {
  const url = new URL(request.url ?? '', 'http://hub');
  const asked = API.exec(url.pathname)?.groups ?? RESOLVE.exec(url.pathname)?.groups;
  if (asked === undefined) return false;
  response.setHeader('Access-Control-Allow-Origin', '*');
  response.setHeader('Access-Control-Allow-Headers', 'authorization, content-type');
  response.setHeader('Access-Control-Allow-Methods', 'GET, HEAD, POST');
  response.setHeader('Access-Control-Expose-Headers', 'Link, ETag, Content-Range');
  const end = (status: number, json?: unknown, headers = {}): true => {
    response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
    response.end(json === undefined ? undefined : JSON.stringify(json));
    return true;
  };
  if (request.method === 'OPTIONS') return end(204);
  const { repo: name = '', what = 'resolve', revision = '', path = '' } = asked;
  hub.questions.push(`${what} ${decodeURIComponent(revision)}${request.headers.authorization === undefined ? '' : ' with a token'}`);
  if (hub.status === 0) return void request.socket.destroy(), true;
  if (hub.status !== undefined) return end(hub.status);
  const repo = hub.repos.get(name);
  // The hub does not tell strangers which names there are.
  if (repo === undefined) return end(401, { error: 'Invalid username or password.' });
  const mayRead = repo.token === undefined || request.headers.authorization === `Bearer ${repo.token}`;
  if (!mayRead) return end(request.headers.authorization === undefined ? 401 : 403, { error: 'Access to it is restricted.' });
  const commit = repo.revisions[decodeURIComponent(revision)] ?? decodeURIComponent(revision);
  const files = repo.commits[commit];
  if (files === undefined) return end(404, { error: `Invalid rev id: ${revision}` });
  if (what === 'tree') return end(200, Object.entries(files).map(([each, file]) => describe(each, file, false)));
  if (what === 'paths-info') {
    const { paths, expand } = JSON.parse(await text(request)) as { paths: string[]; expand: boolean };
    return end(200, paths.flatMap((each) => (files[each] === undefined ? [] : [describe(each, files[each], expand)])));
  }
  const file = files[decodeURIComponent(path)];
  if (file === undefined) return end(404, { error: 'Entry not found' });
  const stored = `/${sha256(file.content)}`;
  if (!hub.cdn.files.has(stored)) hub.cdn.files.set(stored, { content: file.content, faults: {} });
  return end(302, undefined, { Location: `${hub.cdn.origin}${stored}?signature=x` });
}

function describe(path: string, { content, lastCommit, oid = sha256(content) }: FakeFile, isExpanded: boolean): object {
  const lfs = { oid, size: content.length, pointerSize: 134 };
  const date = '2026-01-01T00:00:00.000Z';
  const expanded = isExpanded ? { lastCommit: { id: lastCommit, title: 'Upload', date } } : {};
  return { type: 'file', path, oid: '0'.repeat(40), size: content.length, lfs, ...expanded };
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
