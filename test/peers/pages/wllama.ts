import type { PageOptions, PeerSubject, PeerTask, PeerTiming } from '../peer.ts';
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
  createCompletion(params: Readonly<Record<string, unknown>>): Promise<AsyncIterable<Chunk>>;
  isMultithread(): boolean;
  getNumThreads(): number;
}

interface Chunk {
  readonly choices: readonly { readonly text: string }[];
  readonly usage?: { readonly prompt_tokens: number; readonly completion_tokens: number } | null;
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
  const chunks = await wllama.createCompletion({
    prompt: promptText,
    max_tokens: maxTokens,
    temperature: 0,
    ignore_eos: true,
    cache_prompt: false,
    stream: true,
    stream_options: { include_usage: true },
  });
  let text = '';
  let usage = { prompt_tokens: 0, completion_tokens: 0 };
  for await (const chunk of chunks) {
    usage = chunk.usage ?? usage;
    const piece = chunk.choices[0]?.text ?? '';
    if (piece === '') continue;
    clock.tick();
    text += piece;
  }
  return { ...clock.times(), promptTokens: usage.prompt_tokens, outputTokens: usage.completion_tokens, text };
}

exposePeer({ load, ask, gpuSubmits });
