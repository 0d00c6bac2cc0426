import type { ScheduledRequest } from '../../../src/core/scheduler-output.ts';
import type { LoadedRunner } from '../../../src/runner/load-runner.ts';
import { blocksFor } from '../../support/gpu-runner.ts';

/** Plans on a loaded model, timed. KV beyond a context is overwritten by each run, so every one starts from the same. */
export class ModelRuns {
  readonly #loaded: LoadedRunner;
  readonly #blockTables: readonly (readonly number[])[];

  /** @param tokens that each of the sequences has room for */
  constructor(loaded: LoadedRunner, sequences: number, tokens: number) {
    this.#loaded = loaded;
    this.#blockTables = Array.from({ length: sequences }, (_, slot) => blocksFor(loaded.scheduler, slot, tokens));
  }

  /** Milliseconds from the first plan of a prompt of `tokens` to its first sampled token. */
  async prefill(tokens: number): Promise<number> {
    const { maxNumBatchedTokens } = this.#loaded.scheduler;
    const start = performance.now();
    for (let from = 0; from < tokens; from += maxNumBatchedTokens) {
      const to = Math.min(tokens, from + maxNumBatchedTokens);
      const tokenIds = Array.from({ length: to - from }, (_, i) => this.#token(from + i));
      await this.#execute([this.#request(0, tokenIds, from, to === tokens)], 1);
    }
    return performance.now() - start;
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
   * many steps as the engine's.
   */
  async decode(batch: number, context: number, tokens: number): Promise<number> {
    let last = Array.from({ length: batch }, (_, slot) => this.#token(context + slot));
    const start = performance.now();
    for (let done = 0; done < tokens; ) {
      const steps = Math.min(this.#loaded.scheduler.maxStepsPerPlan, tokens - done);
      const requests = last.map((token, slot) => this.#request(slot, [token], context + done, true));
      last = await this.#execute(requests, steps);
      done += steps;
    }
    return performance.now() - start;
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

  /** @returns the last token of each request that samples */
  async #execute(requests: readonly ScheduledRequest[], numSteps: number): Promise<number[]> {
    const totalNumScheduledTokens = requests.reduce((sum, { tokenIds }) => sum + tokenIds.length, 0);
    const { sampledTokenIds } = await this.#loaded.runner.execute({ numSteps, requests, totalNumScheduledTokens });
    return requests.flatMap(({ requestId, samples }) => {
      if (!samples) return [];
      const token = sampledTokenIds.get(requestId)?.at(-1);
      if (token === undefined) throw new Error('the model sampled no token: its logits are not numbers');
      return [token];
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
