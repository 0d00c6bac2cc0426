import { blocksFor } from '../../demo/bench/models/block-tables.ts';
import type { ScheduledRequest, SchedulerOutput } from '../../src/core/scheduler-output.ts';
import { readModelFile } from '../../src/formats/gguf.ts';
import { type LoadedRunner, loadRunner, type LoadRunnerOptions } from '../../src/runner/load-runner.ts';
import type { ByteSource } from '../../src/core/byte-source.ts';
import { logitsStride } from '../../src/kernels/sample.ts';
import { compileDeferred } from './deferred-kernels.ts';
import { sharedGpu } from './shared-gpu.ts';

export { blocksFor };

/** A file in memory. */
export function memorySource(bytes: Uint8Array<ArrayBuffer>, id = 'test model'): ByteSource {
  return { id, size: bytes.length, read: async (offset, length) => bytes.subarray(offset, offset + length) };
}

/**
 * A model file's bytes on the GPU, with a small KV cache and the kernels that a model is ready with; on the file's
 * shared device where no other is given.
 *
 * @throws Error where its kernels had to be built again without subgroups, unless the log is the test's own
 */
export async function loadBytes(
  bytes: Uint8Array<ArrayBuffer>,
  options: Omit<LoadRunnerOptions, 'file'> = {},
): Promise<LoadedRunner> {
  const gpu = options.gpu ?? (await sharedGpu(options.numerics === 'f16' ? 'f16' : 'f32'));
  const warnings: string[] = [];
  const log: LoadRunnerOptions['log'] = (_, message) => void warnings.push(message);
  const file = await readModelFile(memorySource(bytes));
  const loaded = await loadRunner({ kvCacheBytes: 16 * 1024 * 1024, log, ...options, gpu, file });
  const rebuilt = warnings.find((message) => message.includes('built again'));
  if (rebuilt !== undefined) throw new Error(rebuilt);
  return loaded;
}

/** With the deferred kernels as well. A software adapter compiles them for as long as all others. */
export async function loadWhole(...args: Parameters<typeof loadBytes>): Promise<LoadedRunner> {
  const loaded = await loadBytes(...args);
  await compileDeferred(loaded);
  return loaded;
}

export interface SequenceOptions {
  readonly slot?: number;
  readonly tokenIds: readonly number[];
  /** They must have room for the prompt and all that is generated. */
  readonly blockTable: readonly number[];
  readonly sampling?: Partial<ScheduledRequest['sampling']>;
  /** How many of the tokens are the prompt, where some were sampled before. @default all */
  readonly numPromptTokens?: number | undefined;
}

/** A request that a test schedules by hand: which of its tokens are fed when, and beside whom. */
export class TestSequence {
  readonly slot: number;
  /** The prompt, and what was sampled after it. */
  readonly tokenIds: number[];
  readonly #blockTable: readonly number[];
  readonly #sampling: ScheduledRequest['sampling'];
  readonly #numPromptTokens: number;
  #numComputed = 0;
  #hasSampled = false;

  constructor({ slot = 0, tokenIds, blockTable, sampling, numPromptTokens = tokenIds.length }: SequenceOptions) {
    this.slot = slot;
    this.tokenIds = [...tokenIds];
    this.#blockTable = blockTable;
    this.#numPromptTokens = numPromptTokens;
    this.#sampling = { temperature: 0, seed: 0, choice: 0, ...sampling };
  }

  /** Tokens still to be fed. */
  get numPending(): number {
    return this.tokenIds.length - this.#numComputed;
  }

  /** Its part of a plan: the next `count` tokens, or as many as there are. */
  share(count: number): ScheduledRequest {
    const end = Math.min(this.#numComputed + count, this.tokenIds.length);
    return {
      requestId: `request ${this.slot}`,
      slot: this.slot,
      tokenIds: this.tokenIds.slice(this.#numComputed, end),
      startPosition: this.#numComputed,
      blockTable: this.#blockTable,
      samples: end === this.tokenIds.length,
      sampling: this.#sampling,
      history: this.#hasSampled ? undefined : { tokenIds: this.tokenIds, numPromptTokens: this.#numPromptTokens },
    };
  }

  accept(numFed: number, sampledIds: readonly number[]): void {
    this.#numComputed += numFed;
    this.tokenIds.push(...sampledIds);
    this.#hasSampled ||= sampledIds.length > 0;
  }
}

/** Which sequences take part in a step, and with how many tokens at most. */
export type StepShares = readonly (readonly [sequence: TestSequence, count: number])[];

/** Runs one plan. Sequences that have sampled go on with the sampled tokens. */
export async function step(loaded: LoadedRunner, shares: StepShares, numSteps = 1): Promise<SchedulerOutput> {
  const requests = shares.map(([sequence, count]) => sequence.share(count));
  const totalNumScheduledTokens = requests.reduce((sum, { tokenIds }) => sum + tokenIds.length, 0);
  const plan: SchedulerOutput = { numSteps, requests, totalNumScheduledTokens };
  const { sampledTokenIds } = await loaded.runner.execute(plan);
  for (const [i, [sequence]] of shares.entries()) {
    const sampled = sampledTokenIds.get(`request ${sequence.slot}`) ?? [];
    sequence.accept((requests[i]?.tokenIds.length ?? 0) + numSteps - 1, sampled);
  }
  return plan;
}

/** Feeds a sequence's tokens, `chunk` a step at most, until one is sampled; then `count - 1` more of them. */
export async function generate(
  loaded: LoadedRunner,
  sequence: TestSequence,
  count: number,
  chunk = loaded.scheduler.maxNumBatchedTokens,
): Promise<readonly number[]> {
  const numPrompt = sequence.tokenIds.length;
  while (sequence.tokenIds.length < numPrompt + count) await step(loaded, [[sequence, chunk]]);
  return sequence.tokenIds.slice(numPrompt);
}

/** The logits of the last step's samples, in the order of the plan's requests that sample. */
export async function readLogits(loaded: LoadedRunner, samples: number): Promise<Float32Array[]> {
  const { logits } = loaded.runner.state;
  const { vocabSize } = loaded.config;
  const stride = logitsStride(vocabSize);
  const all = await readBuffer(loaded.device, logits, samples * stride * 4);
  return Array.from({ length: samples }, (_, i) => all.slice(i * stride, i * stride + vocabSize));
}

/** The first `size` bytes of a buffer, as floats. */
async function readBuffer(device: GPUDevice, buffer: GPUBuffer, size: number): Promise<Float32Array> {
  const staging = device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(buffer, 0, staging, 0, size);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const values = new Float32Array(staging.getMappedRange().slice(0));
  staging.destroy();
  return values;
}

/**
 * The logits of every position of a sequence, or of those `from` a position on, in steps of as many positions as there
 * are slots: each position is a request of its own that feeds one token and samples, and all share one block table.
 */
export async function logitsOfEveryPosition(
  loaded: LoadedRunner,
  tokenIds: readonly number[],
  from = 0,
): Promise<readonly Float32Array[]> {
  const { maxNumSeqs, maxNumBatchedTokens } = loaded.scheduler;
  const blockTable = blocksFor(loaded.scheduler, 0, tokenIds.length);
  const before = new TestSequence({ tokenIds, blockTable });
  for (let fed = 0; fed < from; ) {
    const count = Math.min(maxNumBatchedTokens, from - fed);
    await step(loaded, [[before, count]]);
    fed += count;
  }
  const logits: Float32Array[] = [];
  for (let start = from; start < tokenIds.length; start += maxNumSeqs) {
    const requests = tokenIds.slice(start, start + maxNumSeqs).map((tokenId, slot): ScheduledRequest => ({
      requestId: `position ${start + slot}`,
      slot,
      tokenIds: [tokenId],
      startPosition: start + slot,
      blockTable,
      samples: true,
      sampling: { temperature: 0, seed: 0, choice: 0 },
    }));
    await loaded.runner.execute({ numSteps: 1, requests, totalNumScheduledTokens: requests.length });
    logits.push(...(await readLogits(loaded, requests.length)));
  }
  return logits;
}
