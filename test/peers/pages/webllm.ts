import type { PeerSubject, PeerTask, PeerTiming } from '../peer.ts';
import { type CompletionChunk, completionRequest, readCompletion } from './completion.ts';
import { CannotRun, exposePeer } from './expose.ts';
import { countSubmitsHere } from './gpu-submits.ts';
import { TokenClock } from './token-clock.ts';

/** What is used of @mlc-ai/web-llm, which is installed on demand only. */
interface WebLlm {
  readonly prebuiltAppConfig: { readonly model_list: readonly ModelRecord[] };
  CreateMLCEngine(modelId: string): Promise<Engine>;
}

interface ModelRecord {
  readonly model: string;
  readonly model_id: string;
  readonly model_lib: string;
}

interface Engine {
  readonly completions: { create(request: Readonly<Record<string, unknown>>): Promise<AsyncIterable<CompletionChunk>> };
}

const PACKAGE = new URL('/packages/@mlc-ai/web-llm/', location.href);

/** The same model; WebLLM has no quantised build of it. Without f16 the GPU has to take the one of twice the bytes. */
const MODELS = { f16: 'SmolLM2-135M-Instruct-q0f16-MLC', f32: 'SmolLM2-135M-Instruct-q0f32-MLC' };

const gpuSubmits = countSubmitsHere();
let engine: Engine | undefined;

async function load(): Promise<PeerSubject> {
  const webLlm = (await import(/* @vite-ignore */ new URL('lib/index.js', PACKAGE).href)) as WebLlm;
  const { version } = (await (await fetch(new URL('package.json', PACKAGE))).json()) as { version: string };
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (adapter === null) throw new CannotRun('there is no WebGPU adapter');
  const id = adapter.features.has('shader-f16') ? MODELS.f16 : MODELS.f32;
  const record = webLlm.prebuiltAppConfig.model_list.find(({ model_id }) => model_id === id);
  if (record === undefined) throw new CannotRun(`WebLLM ${version} lists no ${id}`);
  await requireReachable('compiled model library', record.model_lib);
  await requireReachable('weights', `${record.model}/resolve/main/mlc-chat-config.json`);
  engine = await webLlm.CreateMLCEngine(id);
  return { version, device: adapter.info.description, settings: { model: id } };
}

/** Both come from the network, and from nowhere else. */
async function requireReachable(what: string, url: string): Promise<void> {
  const answer = await fetch(url, { method: 'HEAD' }).catch((error: unknown) => String(error));
  const why = typeof answer === 'string' ? answer : answer.ok ? undefined : `HTTP ${answer.status}`;
  if (why !== undefined) throw new CannotRun(`its ${what} cannot be had from here: ${url}: ${why}`);
}

async function ask({ promptText, maxTokens }: PeerTask): Promise<PeerTiming> {
  if (engine === undefined) throw new Error('load comes first');
  const clock = new TokenClock();
  return readCompletion(await engine.completions.create(completionRequest(promptText, maxTokens)), clock);
}

exposePeer({ load, ask, gpuSubmits: async () => gpuSubmits() });
