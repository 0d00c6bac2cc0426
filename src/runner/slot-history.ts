import { isPenalised, type LogitsParams } from '../core/request.ts';
import type { SchedulerOutput, TokenHistory } from '../core/scheduler-output.ts';
import { SLOT_BIASES_BYTES } from '../kernels/logit-bias.ts';
import { IN_PROMPT } from '../kernels/penalties.ts';
import type { DecoderState } from '../models/decoder.ts';

/**
 * The sampler's state by slot, for requests with penalties or a logit_bias. Written when such a request samples for the
 * first time in its slot. A write is enqueued before the step's submit.
 */
export class SlotHistory {
  readonly #queue: GPUQueue;
  readonly #state: Pick<DecoderState, 'biases' | 'tokenCounts'>;
  /** One slot's row of each buffer, overwritten each time. */
  readonly #counts: Uint32Array<ArrayBuffer>;
  readonly #biases = new Uint32Array(SLOT_BIASES_BYTES / 4);
  readonly #biasFloats = new Float32Array(this.#biases.buffer);

  constructor(queue: GPUQueue, state: Pick<DecoderState, 'biases' | 'tokenCounts'>, vocabSize: number) {
    this.#queue = queue;
    this.#state = state;
    this.#counts = new Uint32Array(vocabSize);
  }

  /** Called before the plan's first step. */
  write({ requests }: SchedulerOutput): void {
    for (const request of requests) {
      const { history, slot, sampling } = request;
      if (history === undefined) continue;
      if (isPenalised(sampling)) this.#writeCounts(slot, history);
      if (sampling.logitBias !== undefined) this.#writeBiases(slot, sampling.logitBias);
    }
  }

  #writeCounts(slot: number, { tokenIds, numPromptTokens }: TokenHistory): void {
    const counts = this.#counts.fill(0);
    for (const tokenId of tokenIds.slice(0, numPromptTokens)) counts[tokenId] = IN_PROMPT;
    for (const tokenId of tokenIds.slice(numPromptTokens)) counts[tokenId] = (counts[tokenId] ?? 0) + 1;
    this.#queue.writeBuffer(this.#state.tokenCounts, slot * counts.byteLength, counts);
  }

  #writeBiases(slot: number, biases: NonNullable<LogitsParams['logitBias']>): void {
    for (const [i, [tokenId, bias]] of biases.entries()) {
      this.#biases[i * 2] = tokenId;
      this.#biasFloats[i * 2 + 1] = bias;
    }
    this.#queue.writeBuffer(this.#state.biases, slot * SLOT_BIASES_BYTES, this.#biases, 0, biases.length * 2);
  }
}
