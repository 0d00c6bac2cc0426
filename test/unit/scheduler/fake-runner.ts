import { type EngineRequest, type FinishReason, isPenalised } from '../../../src/core/request.ts';
import {
  type CacheConfig,
  LAST_SAMPLED,
  type ModelRunner,
  type ModelRunnerOutput,
  type ScheduledRequest,
  type SchedulerOutput,
  type TokenHistory,
} from '../../../src/core/scheduler-output.ts';

/** Small, so that stop tokens come up by chance. */
export const VOCAB_SIZE = 23;

function mix(hash: number, value: number): number {
  const mixed = Math.imul(hash ^ value, 0x01000193);
  return mixed ^ (mixed >>> 15);
}

/**
 * A token's KV: a hash of the token and, through the KV before it, of every token before it, each in its place. So a
 * block of the right tokens with other tokens before it holds the wrong KV, as in a transformer.
 */
function kvOf(before: number | undefined, token: number): number {
  return mix(mix(0x811c9dc5, before ?? 1), token);
}

/**
 * The fake model: the next token is a hash of the KV of every token before it, and of the seed, the choice and the
 * sampled position. One wrong, missing, stale or misplaced KV gives another answer. With penalties it is a hash of the
 * tokens of prompt and output, too.
 */
function nextToken(
  context: readonly number[],
  sampling: ScheduledRequest['sampling'],
  { tokenIds, numPromptTokens }: TokenHistory,
): number {
  const history = isPenalised(sampling) ? [...tokenIds, numPromptTokens] : [];
  const hash = [...context, sampling.seed, sampling.choice, context.length, ...history].reduce(mix, 0x811c9dc5);
  return (hash >>> 0) % VOCAB_SIZE;
}

/** What a request gives with no scheduler, no blocks and no other request: the reference. */
export function runAlone(
  request: EngineRequest,
  maxModelLen: number,
): { readonly outputTokenIds: readonly number[]; readonly finishReason: FinishReason } {
  const { maxTokens, stopTokenIds } = request.sampling;
  const sampling = { ...request.sampling, choice: request.choice };
  const numPromptTokens = request.promptTokenIds.length;
  const tokens: number[] = [];
  const kv: number[] = [];
  const feed = (token: number): void => {
    tokens.push(token);
    kv.push(kvOf(kv.at(-1), token));
  };
  for (const token of request.promptTokenIds) feed(token);
  for (;;) {
    const token = nextToken(kv, sampling, { tokenIds: tokens, numPromptTokens });
    feed(token);
    const outputTokenIds = tokens.slice(request.promptTokenIds.length);
    if (stopTokenIds.includes(token)) return { outputTokenIds, finishReason: 'stop' };
    if (outputTokenIds.length === maxTokens || tokens.length === maxModelLen) {
      return { outputTokenIds, finishReason: 'length' };
    }
  }
}

/**
 * A model runner whose KV cache holds a number a token. It reads what it needs through the block tables only, so it
 * answers as {@link runAlone} does if, and only if, the plans are right.
 */
export class FakeRunner implements ModelRunner {
  /** KV by [block][offset]; -1: never written. */
  readonly #kv: number[][];
  readonly #blockSize: number;
  /** By slot, as the plans and the sampled ids make it. */
  readonly #histories = new Map<number, { readonly tokenIds: number[]; readonly numPromptTokens: number }>();
  /** By slot: what a plan feeds whose first token nobody has read yet. */
  readonly #lastTokens = new Map<number, number>();
  readonly plans: SchedulerOutput[] = [];

  constructor({ numBlocks, blockSize }: CacheConfig) {
    this.#blockSize = blockSize;
    this.#kv = Array.from({ length: numBlocks }, () => Array<number>(blockSize).fill(-1));
  }

  /** A copy of a block's KV. */
  readBlock(block: number): readonly number[] {
    return [...(this.#kv[block] ?? [])];
  }

  writeBlock(block: number, kv: readonly number[]): void {
    this.#kv[block]?.splice(0, Infinity, ...kv);
  }

  execute(plan: SchedulerOutput): Promise<ModelRunnerOutput> {
    return Promise.resolve(this.executeNow(plan));
  }

  executeNow(plan: SchedulerOutput): ModelRunnerOutput {
    this.plans.push(plan);
    const sampledTokenIds = new Map<string, number[]>();
    for (const { slot, history } of plan.requests) {
      if (history !== undefined) this.#histories.set(slot, { ...history, tokenIds: [...history.tokenIds] });
    }
    for (let step = 0; step < plan.numSteps; step++) {
      // All writes come before all reads, as on the GPU: a block shared by mistake is overwritten before it is read.
      for (const { slot, tokenIds, startPosition, blockTable } of plan.requests) {
        const fed = step === 0 ? tokenIds : [LAST_SAMPLED];
        fed.forEach((tokenId, i) => {
          const token = tokenId === LAST_SAMPLED ? (this.#lastTokens.get(slot) ?? -1) : tokenId;
          const position = startPosition + step + i;
          const before = position === 0 ? undefined : this.#kvAt(blockTable, position - 1);
          this.#block(blockTable, position)[position % this.#blockSize] = kvOf(before, token);
        });
      }
      for (const { requestId, slot, tokenIds, startPosition, blockTable, samples, sampling } of plan.requests) {
        if (!samples) continue;
        const length = startPosition + tokenIds.length + step;
        const context = Array.from({ length }, (_, position) => this.#kvAt(blockTable, position));
        const ids = sampledTokenIds.get(requestId) ?? [];
        const history = this.#histories.get(slot) ?? { tokenIds: [], numPromptTokens: 0 };
        const token = nextToken(context, sampling, history);
        sampledTokenIds.set(requestId, [...ids, token]);
        history.tokenIds.push(token);
        this.#lastTokens.set(slot, token);
      }
    }
    return { sampledTokenIds };
  }

  #kvAt(blockTable: readonly number[], position: number): number {
    return this.#block(blockTable, position)[position % this.#blockSize] ?? -1;
  }

  #block(blockTable: readonly number[], position: number): number[] {
    const block = this.#kv[blockTable[Math.floor(position / this.#blockSize)] ?? -1];
    if (block === undefined) throw new Error(`Block table ${blockTable.join()} does not cover position ${position}.`);
    return block;
  }
}
