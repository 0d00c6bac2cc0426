import { LAST_SAMPLED, type ScheduledRequest } from '../../../src/core/scheduler-output.ts';
import type { LoadedRunner } from '../../../src/runner/load-runner.ts';
import { blocksFor } from './block-tables.ts';

/**
 * Plans on a loaded model, timed. KV beyond a context is overwritten by each run, so every one starts from the same, and
 * has to sample the same: a run that gives other tokens than the first one like it fails.
 */
export class ModelRuns {
  /** How many sequences there are. */
  readonly sequences: number;
  readonly #loaded: LoadedRunner;
  readonly #blockTables: readonly (readonly number[])[];
  /** The tokens of the first run of its kind. */
  readonly #expected = new Map<string, readonly number[]>();

  /** @param tokens that each of the sequences has room for */
  constructor(loaded: LoadedRunner, sequences: number, tokens: number) {
    this.#loaded = loaded;
    this.sequences = sequences;
    const layout = { ...loaded.scheduler, maxNumSeqs: sequences };
    this.#blockTables = Array.from({ length: sequences }, (_, slot) => blocksFor(layout, slot, tokens));
  }

  /** Milliseconds from the first plan of a prompt of `tokens` to its first sampled token. */
  async prefill(tokens: number): Promise<number> {
    const { maxNumBatchedTokens } = this.#loaded.scheduler;
    let sampled: readonly (readonly number[])[] = [];
    const start = performance.now();
    for (let from = 0; from < tokens; from += maxNumBatchedTokens) {
      const to = Math.min(tokens, from + maxNumBatchedTokens);
      const tokenIds = Array.from({ length: to - from }, (_, i) => this.#token(from + i));
      sampled = await this.#execute([this.#request(0, tokenIds, from, to === tokens)], 1);
    }
    const ms = performance.now() - start;
    this.#check(`a prompt of ${tokens}`, sampled[0] ?? []);
    return ms;
  }

  /** The `count` tokens that a prompt is answered with, greedily, one step for each. */
  async answer(promptTokenIds: readonly number[], count: number): Promise<readonly number[]> {
    const { maxNumBatchedTokens } = this.#loaded.scheduler;
    const ids = [...promptTokenIds];
    for (let from = 0; ids.length < promptTokenIds.length + count; ) {
      const to = Math.min(ids.length, from + maxNumBatchedTokens);
      const [sampled = []] = await this.#execute([this.#request(0, ids.slice(from, to), from, to === ids.length)], 1);
      ids.push(...sampled);
      from = to;
    }
    return ids.slice(promptTokenIds.length);
  }

  /** Gives every sequence the context of the first. */
  async copyContext(tokens: number): Promise<void> {
    const { device, scheduler, runner } = this.#loaded;
    const blocks = Math.ceil(tokens / scheduler.blockSize);
    for (const { keys, values } of runner.state.cache) {
      for (const buffer of [keys, values]) copyBlocks(device, buffer, scheduler.numBlocks, this.#blockTables, blocks);
      await device.queue.onSubmittedWorkDone();
    }
  }

  /**
   * Milliseconds of `tokens` decode steps of the first `batch` sequences, each from a context of `context`, in plans of as
   * many steps as the engine's, as many of them in flight. All begin alike, so that each has to say what the first one says
   * alone.
   */
  async decode(batch: number, context: number, tokens: number): Promise<number> {
    const { maxStepsPerPlan, maxPlansInFlight = 1 } = this.#loaded.scheduler;
    const sampled = Array.from({ length: batch }, () => [this.#token(context)]);
    const inFlight: Promise<readonly (readonly number[])[]>[] = [];
    const start = performance.now();
    for (let submitted = 0; submitted < tokens || inFlight.length > 0; ) {
      while (submitted < tokens && inFlight.length < maxPlansInFlight) {
        const steps = Math.min(maxStepsPerPlan, tokens - submitted);
        const fed = sampled.map((ids) => (inFlight.length > 0 ? [LAST_SAMPLED] : ids.slice(-1)));
        const plan = this.#execute(fed.map((ids, slot) => this.#request(slot, ids, context + submitted, true)), steps);
        plan.catch(() => {}); // told when it is its turn
        inFlight.push(plan);
        submitted += steps;
      }
      const next = (await inFlight.shift()) ?? [];
      for (const [slot, ids] of next.entries()) sampled[slot]?.push(...ids);
    }
    const ms = performance.now() - start;
    for (const ids of sampled) this.#check(`from a context of ${context}`, ids);
    return ms;
  }

  /** @throws Error where a run of the same kind gave others, as far as both go */
  #check(kind: string, ids: readonly number[]): void {
    const expected = this.#expected.get(kind) ?? [];
    const parted = ids.findIndex((id, i) => i < expected.length && id !== expected[i]);
    if (parted !== -1) throw new Error(`${kind}: the token at ${parted} is ${ids[parted]}, and was ${expected[parted]}`);
    if (ids.length > expected.length) this.#expected.set(kind, ids);
  }

  /** Any token, the same for the same position. */
  #token(position: number): number {
    return (1000 + position * 7) % this.#loaded.config.vocabSize;
  }

  #request(slot: number, tokenIds: readonly number[], startPosition: number, samples: boolean): ScheduledRequest {
    const blockTable = this.#blockTables[slot] ?? [];
    const sampling = { temperature: 0, seed: 0, choice: 0 };
    return { requestId: String(slot), slot, tokenIds, startPosition, blockTable, samples, sampling };
  }

  /** @returns the tokens of each request that samples, one a step */
  async #execute(requests: readonly ScheduledRequest[], numSteps: number): Promise<readonly (readonly number[])[]> {
    const totalNumScheduledTokens = requests.reduce((sum, { tokenIds }) => sum + tokenIds.length, 0);
    const { sampledTokenIds } = await this.#loaded.runner.execute({ numSteps, requests, totalNumScheduledTokens });
    return requests.flatMap(({ requestId, samples }) => {
      if (!samples) return [];
      const ids = sampledTokenIds.get(requestId);
      if (ids?.length !== numSteps) throw new Error('the model sampled no token: its logits are not numbers');
      return [ids];
    });
  }
}

/** Copies the first `count` blocks of the first sequence to all others. */
function copyBlocks(
  device: GPUDevice,
  buffer: GPUBuffer,
  numBlocks: number,
  [first = [], ...others]: readonly (readonly number[])[],
  count: number,
): void {
  const blockBytes = buffer.size / numBlocks;
  // No copy within a buffer: through another.
  const between = device.createBuffer({ size: count * blockBytes, usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC });
  const encoder = device.createCommandEncoder();
  for (let i = 0; i < count; i++) {
    encoder.copyBufferToBuffer(buffer, (first[i] ?? 0) * blockBytes, between, i * blockBytes, blockBytes);
  }
  for (const blocks of others) {
    for (let i = 0; i < count; i++) {
      encoder.copyBufferToBuffer(between, i * blockBytes, buffer, (blocks[i] ?? 0) * blockBytes, blockBytes);
    }
  }
  device.queue.submit([encoder.finish()]);
  between.destroy();
}
