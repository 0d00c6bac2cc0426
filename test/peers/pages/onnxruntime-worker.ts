import { expose } from 'comlink';
import type { PageOptions, PeerSubject, PeerTask, PeerTiming } from '../peer.ts';
import { countSubmitsHere } from './gpu-submits.ts';
import { TokenClock } from './token-clock.ts';

/** What is used of onnxruntime-web, which is installed on demand only. */
interface OnnxRuntime {
  readonly env: {
    readonly versions: { readonly web?: string };
    readonly wasm: { wasmPaths: string; numThreads: number };
  };
  readonly InferenceSession: { create(url: string, options: Readonly<Record<string, unknown>>): Promise<Session> };
  readonly Tensor: new (type: string, data: Int32Array | Float32Array, dims: readonly number[]) => Tensor;
}

interface Session {
  readonly inputNames: readonly string[];
  run(feeds: Tensors): Promise<Tensors>;
}

interface Tensor {
  /** Downloads it where it is on the GPU. */
  getData(): Promise<ArrayLike<number | bigint>>;
  dispose(): void;
}

type Tensors = Record<string, Tensor>;

const DIST = new URL('/packages/onnxruntime-web/dist/', location.origin);

/** Of the keys or values of no token: heads and their size are those of the default model. */
const NO_TOKENS = [1, 3, 0, 64];

const gpuSubmits = countSubmitsHere();
let opened: { readonly runtime: OnnxRuntime; readonly session: Session } | undefined;

async function load({ backend, modelUrl, threads }: PageOptions): Promise<PeerSubject> {
  const file = backend === 'webgpu' ? 'ort.webgpu.min.mjs' : 'ort.wasm.min.mjs';
  const runtime = (await import(/* @vite-ignore */ new URL(file, DIST).href)) as OnnxRuntime;
  runtime.env.wasm.wasmPaths = DIST.href;
  runtime.env.wasm.numThreads = threads;
  const session = await runtime.InferenceSession.create(modelUrl, {
    executionProviders: [backend],
    graphOptimizationLevel: 'all',
    // Keys and values stay on the GPU from step to step.
    ...(backend === 'webgpu' ? { preferredOutputLocation: 'gpu-buffer' } : {}),
  });
  opened = { runtime, session };
  const settings = { executionProviders: backend, graphOptimizationLevel: 'all', numThreads: threads };
  return { version: runtime.env.versions.web ?? 'unknown', device: `${threads} threads of WebAssembly`, settings };
}

/** Greedy, past any token that would end it. ONNX Runtime has no tokenizer, so there are ids and no text. */
async function ask({ promptTokenIds, maxTokens }: PeerTask): Promise<PeerTiming> {
  if (opened === undefined) throw new Error('load comes first');
  const { runtime, session } = opened;
  const clock = new TokenClock();
  const tokenIds: number[] = [];
  let cache = emptyCache(runtime, session);
  let ids = promptTokenIds;
  for (let total = ids.length; tokenIds.length < maxTokens; total++) {
    const { next_id: next, ...presents } = await session.run({
      input_ids: new runtime.Tensor('int32', Int32Array.from(ids), [1, ids.length]),
      seqlens_k: new runtime.Tensor('int32', Int32Array.of(total - 1), [1]),
      total_sequence_length: new runtime.Tensor('int32', Int32Array.of(total), []),
      ...cache,
    });
    if (next === undefined) throw new Error('the graph gave no token');
    ids = [Number((await next.getData())[0])];
    clock.tick();
    tokenIds.push(...ids);
    next.dispose();
    free(cache);
    cache = Object.fromEntries(Object.entries(presents).map(([name, tensor]) => [name.replace('present', 'past'), tensor]));
  }
  free(cache);
  const counts = { promptTokens: promptTokenIds.length, outputTokens: tokenIds.length };
  return { ...clock.times(), ...counts, text: '', tokenIds };
}

function emptyCache({ Tensor: TensorClass }: OnnxRuntime, { inputNames }: Session): Tensors {
  const names = inputNames.filter((name) => name.startsWith('past.'));
  return Object.fromEntries(names.map((name) => [name, new TensorClass('float32', new Float32Array(0), NO_TOKENS)]));
}

function free(tensors: Tensors): void {
  for (const tensor of Object.values(tensors)) tensor.dispose();
}

const api = { load, ask, gpuSubmits };
export type OnnxRuntimeWorker = typeof api;
expose(api);
