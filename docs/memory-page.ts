import { TabserveError } from '../src/core/errors.ts';
import { KV_CACHE_DTYPES, type KvCacheDtype } from '../src/core/kv-cache-dtype.ts';
import type { LoadSettings } from '../src/core/load-settings.ts';
import { BufferPool, maxBufferBytes } from '../src/gpu/buffers.ts';
import { countingDevice } from '../src/gpu/counting-device.ts';
import { type ModelFile, readModelFile } from '../src/formats/gguf.ts';
import { readModelConfig } from '../src/models/architectures.ts';
import { planWeights } from '../src/models/weights.ts';
import { allocate } from '../src/runner/allocate.ts';
import { type CacheReport, reportCache } from '../src/runner/cache-report.ts';
import { AUTO_TOKENS, count, type Machine, mib, planCache } from '../src/runner/kv-cache-plan.ts';
import { defaultLimits, matrixLayout } from '../src/runner/load-runner.ts';
import { syntheticHeader, type SyntheticShape } from '../demo/bench/models/synthetic-model.ts';

const GIB = 2 ** 30;

/** What desktop browsers let bind at least on GPUs with memory of their own. */
const LIMITS = { maxBufferSize: 2 * GIB, maxStorageBufferBindingSize: 2 * GIB };

const shape = (
  name: string,
  architecture: SyntheticShape['architecture'],
  [hiddenSize, intermediateSize, numLayers, numHeads, numKvHeads, headSize]: readonly [number, number, number, number, number, number],
  vocabSize: number,
  contextLength: number,
  tied = true,
): SyntheticShape => {
  const sizes = { hiddenSize, intermediateSize, numLayers, numHeads, numKvHeads, headSize, vocabSize, contextLength };
  return { name, architecture, ...sizes, tied, type: 'Q4_0' };
};

/** Models that many use, by the shapes that their files tell. */
export const MODELS: readonly SyntheticShape[] = [
  shape('SmolLM2-135M', 'llama', [576, 1536, 30, 9, 3, 64], 49_152, 8192),
  shape('SmolLM2-360M', 'llama', [960, 2560, 32, 15, 5, 64], 49_152, 8192),
  shape('SmolLM2-1.7B', 'llama', [2048, 8192, 24, 32, 32, 64], 49_152, 8192),
  shape('Qwen2.5-0.5B', 'qwen2', [896, 4864, 24, 14, 2, 64], 151_936, 32_768),
  shape('Qwen2.5-1.5B', 'qwen2', [1536, 8960, 28, 12, 2, 128], 151_936, 32_768),
  shape('Qwen3-0.6B', 'qwen3', [1024, 3072, 28, 16, 8, 128], 151_936, 40_960),
  shape('Qwen3-1.7B', 'qwen3', [2048, 6144, 28, 16, 8, 128], 151_936, 40_960),
  shape('Qwen3-4B', 'qwen3', [2560, 9728, 36, 32, 8, 128], 151_936, 40_960),
  shape('Llama-3.2-1B', 'llama', [2048, 8192, 16, 32, 8, 64], 128_256, 131_072),
  shape('Llama-3.2-3B', 'llama', [3072, 8192, 28, 24, 8, 128], 128_256, 131_072),
  shape('Llama-3.1-8B', 'llama', [4096, 14_336, 32, 32, 8, 128], 128_256, 131_072, false),
];

/** Where they are loaded. */
export const MACHINES: readonly (Machine & { readonly name: string })[] = [
  ...[4, 8, 16].map((gib) => ({ name: `${gib} GiB`, ...machineOf(gib, false) })),
  { name: 'software', ...machineOf(16, true) },
];

/** One as loading finds it. */
export function machineOf(gib: number, isSoftware: boolean): Machine {
  return { budgetBytes: gib * GIB, isSoftware, maxNumSeqs: defaultLimits({ isSoftware }).maxNumSeqs };
}

/** What a model comes to have, in bytes and tokens. */
export interface Outcome {
  /** Of all its buffers. */
  readonly bytes: number;
  readonly kvCacheBytes: number;
  /** Of what is neither weights nor KV cache. */
  readonly stepBytes: number;
  /** Of those, attention's partial results. */
  readonly partialBytes: number;
  /** Of a sequence, and of all together. */
  readonly maxModelLen: number;
  readonly tokens: number;
  readonly report: CacheReport;
}

/** A file of such a model, as far as its header. */
export function headerOf(model: SyntheticShape): Promise<ModelFile> {
  const { header, totalBytes } = syntheticHeader(model);
  const read = async (offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> => {
    const bytes = new Uint8Array(length);
    bytes.set(header.subarray(offset, offset + length));
    return bytes;
  };
  return readModelFile({ id: model.name, size: totalBytes, read });
}

/**
 * Allocates all that a load does, on a device that counts.
 *
 * @throws TabserveError `out_of_memory` where the model does not fit
 */
export async function outcomeOf(file: ModelFile, machine: Machine, options: LoadSettings = {}, limits = LIMITS): Promise<Outcome> {
  // Node has none, and what is counted has no use.
  Object.assign(globalThis, { GPUBufferUsage: { MAP_READ: 1, COPY_SRC: 4, COPY_DST: 8, UNIFORM: 64, STORAGE: 128 } });
  const config = readModelConfig(file);
  const { budgetBytes } = machine;
  const matrices = { numerics: 'f32', maxBindingBytes: maxBufferBytes({ limits }), ...matrixLayout(machine) } as const;
  const weights = new BufferPool(countingDevice(limits));
  planWeights(file, config, weights, matrices);
  const all = new BufferPool(countingDevice(limits));
  const asked = { file, config, matrices, limits: defaultLimits(machine), gpuMemoryBytes: budgetBytes } as const;
  const { fitted } = await allocate({ ...asked, plan: planCache(config, options, machine) }, all);
  const { numBlocks, blockSize, maxModelLen } = fitted.made.scheduler;
  const { bytes } = all;
  const stepBytes = bytes - weights.bytes - fitted.bytes;
  const partialBytes = fitted.made.state.partials.size;
  return { bytes, kvCacheBytes: fitted.bytes, stepBytes, partialBytes, maxModelLen, tokens: numBlocks * blockSize, report: reportCache(fitted) };
}

/** Tokens of a sequence for which the buffers of steps are told. */
export const STEP_TOKENS = [4096, 8192, 32_768];

/** docs/memory.md. */
export async function writeMemoryPage(): Promise<string> {
  const files = await Promise.all(MODELS.map(async (model) => ({ model, file: await headerOf(model) })));
  const tables: string[] = [];
  for (const kvCacheDtype of KV_CACHE_DTYPES) {
    const rows: string[][] = [];
    for (const { model, file } of files) {
      const cells: string[] = [];
      for (const machine of MACHINES) cells.push(await cellOf(file, machine, kvCacheDtype));
      rows.push([`${model.name} (${count(contextOf(file))})`, ...cells]);
    }
    tables.push(`### \`kvCacheDtype: '${kvCacheDtype}'\`\n\n${table(['model (its context)', ...MACHINES.map(({ name }) => name)], rows)}`);
  }
  const besides: string[][] = [];
  for (const { model, file } of files) besides.push([model.name, ...(await besideOf(file))]);
  const headings = ['model', 'weights', 'a token of f16 KV', ...STEP_TOKENS.map((tokens) => `steps, of ${count(tokens)} tokens`)];
  return `${INTRODUCTION}\n${tables.join('\n')}\n${BESIDE}\n${table(headings, besides)}`;
}

async function cellOf(file: ModelFile, machine: Machine, kvCacheDtype: KvCacheDtype): Promise<string> {
  try {
    const { maxModelLen, kvCacheBytes, tokens } = await outcomeOf(file, machine, { kvCacheDtype });
    const sequences = Math.floor((10 * tokens) / Math.min(maxModelLen, AUTO_TOKENS)) / 10;
    return `${count(maxModelLen)} · ${mib(kvCacheBytes)} · ${sequences}`;
  } catch (error) {
    if (error instanceof TabserveError && error.code === 'out_of_memory') return 'does not fit';
    throw error;
  }
}

/** Of a GPU that has all it takes. */
async function besideOf(file: ModelFile): Promise<string[]> {
  const machine = machineOf(1024, false);
  const outcomes = STEP_TOKENS.map(async (tokens) => {
    const maxModelLen = Math.min(tokens, contextOf(file));
    return outcomeOf(file, machine, { maxModelLen });
  });
  const all = await Promise.all(outcomes);
  const [{ bytes, kvCacheBytes, stepBytes, tokens }] = all as [Outcome, ...Outcome[]];
  const steps = all.map((each, i) => ((STEP_TOKENS[i] ?? 0) > contextOf(file) ? '' : `${mib(each.stepBytes)} · ${mib(each.partialBytes)}`));
  return [mib(bytes - kvCacheBytes - stepBytes), `${kvCacheBytes / tokens / 1024} KiB`, ...steps];
}

function contextOf(file: ModelFile): number {
  return readModelConfig(file).maxPositionEmbeddings;
}

function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [headings, ['---', ...headings.slice(1).map(() => '--:')], ...rows];
  return lines.map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}

const INTRODUCTION = `# What a model has of its context

Written by \`npm run docs\`, by the code that allocates, on a device that counts.

A sequence is what the model reads of one request: the conversation so far, and the answer. The KV cache holds the keys and
values of every token of every sequence, and all tabs share it. Its size decides how long a sequence may be
(\`client.model.maxModelLen\`, at most the model's own \`contextLength\`) and how many run at once.
\`kvCacheBytes: 'auto'\`, the default, takes

1. room for four sequences of 8,192 tokens, or of the model's context or \`maxModelLen\` where that is less; for as many of
   them as run at once (16, and 8 on a software adapter), as far as 256 MiB hold them;
2. at most a quarter of \`gpuMemoryBytes\`;
3. on a software adapter, whose memory is the CPU's, at most 256 MiB;
4. whatever 2. and 3. say, one sequence of 4,096 tokens, or of the context or \`maxModelLen\` where that is less;
5. never more than the weights, other models and the GPU leave. Where that is less than one sequence of 512 tokens, the
   model is refused.

Another tab's model that has nothing to do is unloaded for what 4. says, or for what a model had that comes back, and not
for more. A number of bytes in place of \`auto\` is taken as it is, within 5., and such models are unloaded for all of it.

One sequence may have the whole cache. Keys and values of sequences that have ended stay in it until others need the room, so
that a conversation that goes on need not be computed again.

\`client.model.contextCut\` and \`kvCacheCut\` say why there is less than the model's context, or less than four sequences, and the log says it
in a sentence: as a warning where a sequence has fewer tokens than the model's context and than 8,192, unless
\`maxModelLen\` says so or the adapter is software, and where a number of bytes was not granted.

| reason | it means | what helps |
|---|---|---|
| \`max_model_len\` | \`maxModelLen\` asks for no more | a larger one |
| \`kv_cache_bytes\` | \`kvCacheBytes\` asks for no more | \`'auto'\`, or a larger number; \`kvCacheDtype\` |
| \`kv_cache_auto\` | the four sequences of 1. are less than the model's context | a number as \`kvCacheBytes\` |
| \`gpu_memory_share\` | the quarter of 2. | \`gpuMemoryBytes\`, where the GPU has more than is assumed; a number as \`kvCacheBytes\`; \`kvCacheDtype\` |
| \`software_adapter\` | the 256 MiB of 3. | a number as \`kvCacheBytes\` |
| \`gpu_memory\` | \`gpuMemoryBytes\` has no more beside the weights and other models | a smaller model; fewer of them; \`gpuMemoryBytes\` |
| \`buffer_size\` | the GPU binds no larger buffer | \`kvCacheDtype\`, where it is a buffer of the cache |
| \`gpu_refused\` | the GPU refused more; half of it is tried, and half of that | close other programs and pages that use the GPU; a smaller model |

## By model

Tokens of a sequence · the KV cache · how many sequences of so many tokens (of 8,192, where that is less) it holds at once.
Columns are \`gpuMemoryBytes\`, by default what the browser tells of the machine's memory, 16 GiB where it tells 8 or
nothing; \`software\` is a software adapter with 16 GiB. The model is alone, its matrices are Q4_0 and its embedding is Q8_0,
and the GPU binds buffers of 2 GiB. f16 and INT8 caches round keys and values ([what that costs](../shaders/README.md#the-kv-cache)).
`;

const BESIDE = `## Beside the KV cache

Weights, bytes of the KV cache for a token in f16, and the buffers of a step · attention's partial results among them. Attention
divides a context into splits of 128 tokens, and leaves a result for each split of each token of a step. There is room for
60 MiB of them. A long prompt is computed in smaller chunks towards its end, such that a step needs no more.
`;
