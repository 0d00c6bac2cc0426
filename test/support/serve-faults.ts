import { text } from 'node:stream/consumers';
import type { TestProject } from 'vitest/node';
import { seededFile } from '../unit/download/seeded-bytes.ts';
import { startFakeHub } from './fake-hub.ts';
import type { FakeHub } from './fake-hub.ts';
import type { FaultCommand, FaultLog, FaultServers, Recipe } from './fault-control.ts';
import { startFileServer } from './file-server.ts';
import { tinyModel } from './tiny-model.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Servers that misbehave as a test tells them. */
    readonly faultServers: FaultServers;
  }
}

/** A project's globalSetup: a hub, a server that it redirects to, and one that takes a browser's commands for both. */
export default async function serveFaults(project: TestProject): Promise<() => Promise<void>> {
  const hub = await startFakeHub();
  const control = await startFileServer({}, async (request, response) => {
    response.setHeader('Access-Control-Allow-Origin', '*');
    const log = obey(hub, JSON.parse(await text(request)) as FaultCommand);
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(log));
    return true;
  });
  project.provide('faultServers', { control: control.origin, hub: hub.server.origin, cdn: hub.cdn.origin });
  return async () => void (await Promise.all([hub.close(), control.close()]));
}

function obey(hub: FakeHub, command: FaultCommand): FaultLog {
  const server = 'at' in command && command.at === 'cdn' ? hub.cdn : hub.server;
  if (command.do === 'reset') reset(hub);
  else if (command.do === 'serve') server.files.set(command.path, { content: cook(command.content), faults: command.faults ?? {} });
  else if (command.do === 'misbehave') server.files.get(command.path)!.faults = command.faults;
  else if (command.do === 'remove') server.files.delete(command.path);
  else if (command.do === 'answer') hub.status = command.status ?? undefined;
  else if (command.do === 'publish') publish(hub, command);
  return { hub: hub.server.log, cdn: hub.cdn.log, questions: hub.questions };
}

/** The repository `o/r`, whose branch `main` is at a commit that has just changed `m.gguf`. */
function publish(hub: FakeHub, { commit, content, oid, token }: FaultCommand & { readonly do: 'publish' }): void {
  const { commits = {} } = hub.repos.get('o/r') ?? {};
  const file = { content: cook(content), lastCommit: commit, ...(oid === undefined ? {} : { oid }) };
  const repo = { revisions: { main: commit }, commits: { ...commits, [commit]: { 'm.gguf': file } } };
  hub.repos.set('o/r', { ...repo, ...(token === undefined ? {} : { token }) });
}

function reset(hub: FakeHub): void {
  for (const { files, log } of [hub.server, hub.cdn]) {
    files.clear();
    log.length = 0;
  }
  hub.repos.clear();
  hub.questions.length = 0;
  hub.status = undefined;
}

function cook(recipe: Recipe): Uint8Array {
  if ('model' in recipe) return tinyModel({ type: 'mixed', preset: recipe.model });
  return 'text' in recipe ? new TextEncoder().encode(recipe.text) : seededFile(recipe.length, recipe.seed);
}
