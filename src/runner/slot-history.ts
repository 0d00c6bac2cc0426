import type { ScheduledRequest, SchedulerOutput } from '../core/scheduler-output.ts';
import { SLOT_BIASES_BYTES } from '../kernels/logit-bias.ts';
import { IN_PROMPT } from '../kernels/penalties.ts';
import type { DecoderState } from '../models/decoder.ts';

/**
 * What the sampler keeps by slot of requests with penalties or a logit_bias. Written when such a request samples for the
 * first time in its slot; a write takes its place in the queue before the step's submit.
 */
export class SlotHistory {
  readonly #queue: GPUQueue;
  readonly #state: Pick<DecoderState, 'biases' | 'tokenCounts'>;
  /** One slot's row of each, filled anew each time. */
  readonly #counts: Uint32Array<ArrayBuffer>;
  readonly #biases = new Uint32Array(SLOT_BIASES_BYTES / 4);
  readonly #biasFloats = new Float32Array(this.#biases.buffer);

  constructor(queue: GPUQueue, state: Pick<DecoderState, 'biases' | 'tokenCounts'>, vocabSize: number) {
    this.#queue = queue;
    this.#state = state;
    this.#counts = new Uint32Array(vocabSize);
  }

  /** Before the plan's first step. */
  write({ requests }: SchedulerOutput): void {
    for (const request of requests) {
      if (request.history === undefined) continue;
      this.#writeCounts(request);
      this.#writeBiases(request);
    }
  }

  #writeCounts({ slot, history }: ScheduledRequest): void {
    const counts = this.#counts.fill(0);
    for (const [i, tokenId] of history?.tokenIds.entries() ?? []) {
      const count = counts[tokenId] ?? 0;
      counts[tokenId] = i < (history?.numPromptTokens ?? 0) ? IN_PROMPT : count + 1;
    }
    this.#queue.writeBuffer(this.#state.tokenCounts, slot * counts.byteLength, counts);
  }

  #writeBiases({ slot, sampling }: ScheduledRequest): void {
    const { logitBias = [] } = sampling;
    for (const [i, [tokenId, bias]] of logitBias.entries()) {
      this.#biases[i * 2] = tokenId;
      this.#biasFloats[i * 2 + 1] = bias;
    }
    this.#queue.writeBuffer(this.#state.biases, slot * SLOT_BIASES_BYTES, this.#biases, 0, logitBias.length * 2);
  }
}
