import type { PageOptions, PeerSubject, PeerTask, PeerTiming } from '../peer.ts';
import { type CompletionChunk, completionRequest, readCompletion } from './completion.ts';
import { exposePeer } from './expose.ts';
import { countSubmitsOfBlobWorkers } from './gpu-submits.ts';
import { TokenClock } from './token-clock.ts';

/** What is used of @wllama/wllama, which is installed on demand only. */
interface WllamaModule {
  readonly Wllama: {
    new (paths: { default: string }, config: { suppressNativeLog: boolean }): Wllama;
    getLibllamaVersion(): string;
  };
}

interface Wllama {
  loadModelFromUrl(url: string, params: Readonly<Record<string, number | boolean>>): Promise<void>;
  createCompletion(params: Readonly<Record<string, unknown>>): Promise<AsyncIterable<CompletionChunk>>;
  isMultithread(): boolean;
  getNumThreads(): number;
}

const PACKAGE = new URL('/packages/@wllama/wllama/', location.href);
const gpuSubmits = countSubmitsOfBlobWorkers();
let wllama: Wllama | undefined;

async function load(options: PageOptions): Promise<PeerSubject> {
  const { Wllama } = (await import(/* @vite-ignore */ new URL('esm/index.js', PACKAGE).href)) as WllamaModule;
  const manifest = (await (await fetch(new URL('package.json', PACKAGE))).json()) as { version: string };
  wllama = new Wllama({ default: new URL('esm/wasm/wllama.wasm', PACKAGE).href }, { suppressNativeLog: true });
  const settings = {
    n_threads: options.threads,
    n_ctx: Math.max(1024, options.maxRequests * options.maxTokensEach),
    n_parallel: options.maxRequests,
    // 0 keeps it off the GPU; all layers go there by default.
    ...(options.backend === 'wasm' ? { n_gpu_layers: 0 } : {}),
  };
  await wllama.loadModelFromUrl(options.modelUrl, settings);
  const threads = wllama.isMultithread() ? wllama.getNumThreads() : 1;
  const version = `${manifest.version} (llama.cpp ${Wllama.getLibllamaVersion()})`;
  return { version, device: `${threads} threads`, settings };
}

async function ask({ promptText, maxTokens }: PeerTask): Promise<PeerTiming> {
  if (wllama === undefined) throw new Error('load comes first');
  const clock = new TokenClock();
  return readCompletion(await wllama.createCompletion({ ...completionRequest(promptText, maxTokens), cache_prompt: false }), clock);
}

exposePeer({ load, ask, gpuSubmits });
