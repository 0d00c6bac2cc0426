import { LAST_SAMPLED, type SchedulerOutput } from '../core/scheduler-output.ts';
import { numPartialsAt } from '../core/partials.ts';
import { ATTENTION_SPLIT, attentionWord, FROM_SLOT, MAX_TABLES, ROW_BYTES, SAMPLE_BYTES, type SamplingNeeds, TILE_BYTES, writeSample } from '../kernels/step-inputs.ts';
import type { StepShape } from '../gpu/op.ts';

/** WebGPU's alignment of bound ranges. */
const ALIGNMENT = 256;

/** The offsets of a step's inputs in their one buffer, in bytes. */
export interface StepInputsLayout {
  readonly rowCount: number;
  readonly sampleCount: number;
  readonly rows: number;
  /** Tiles of one row, and of several. */
  readonly singles: number;
  readonly tiles: number;
  readonly samples: number;
  readonly blockTables: number;
  readonly size: number;
  readonly maxRows: number;
  readonly maxSamples: number;
  /** The most blocks of a sequence. */
  readonly maxBlocks: number;
}

/** Lays the inputs out so that each can be bound on its own and all are written at once. */
export function stepInputsLayout(maxRows: number, maxSamples: number, maxBlocks: number): StepInputsLayout {
  if (maxSamples > MAX_TABLES) throw new Error(`a step has at most ${MAX_TABLES} requests`);
  const align = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
  const rows = 2 * ALIGNMENT;
  const singles = align(rows + maxRows * ROW_BYTES);
  const tiles = align(singles + maxRows * TILE_BYTES);
  const samples = align(tiles + Math.ceil(maxRows / 2) * TILE_BYTES);
  const blockTables = align(samples + maxSamples * SAMPLE_BYTES);
  const size = align(blockTables + maxSamples * maxBlocks * 4);
  const parts = { rowCount: 0, sampleCount: ALIGNMENT, rows, singles, tiles, samples, blockTables };
  return { ...parts, size, maxRows, maxSamples, maxBlocks };
}

const NO_NEEDS: SamplingNeeds = { biased: 0, penalised: 0, filtered: 0, topK: 0, topP: 0 };

function addNeeds(a: SamplingNeeds, b: SamplingNeeds): SamplingNeeds {
  return {
    biased: a.biased + b.biased,
    penalised: a.penalised + b.penalised,
    filtered: a.filtered + b.filtered,
    topK: a.topK + b.topK,
    topP: a.topP + b.topP,
  };
}

/** A step's inputs, and the shape that its grids depend on. `words` is a view that the next call overwrites. */
export interface PackedStep {
  readonly words: Uint32Array<ArrayBuffer>;
  readonly shape: StepShape;
}

/** Converts plans to the inputs of the kernels. */
export class StepPacker {
  readonly #layout: StepInputsLayout;
  readonly #blockSize: number;
  readonly #tileRows: () => number;
  readonly #words: Uint32Array<ArrayBuffer>;
  readonly #floats: Float32Array<ArrayBuffer>;

  /** @param tileRows called before each step: the most rows of a request that one attention tile takes */
  constructor(layout: StepInputsLayout, blockSize: number, tileRows: () => number) {
    this.#layout = layout;
    this.#blockSize = blockSize;
    this.#tileRows = tileRows;
    const bytes = new ArrayBuffer(layout.size);
    this.#words = new Uint32Array(bytes);
    this.#floats = new Float32Array(bytes);
  }

  /**
   * The inputs of one of the plan's steps (from 0). Steps after the first take the tokens that the previous step
   * sampled.
   */
  pack(plan: SchedulerOutput, step: number): PackedStep {
    const { rowCount, sampleCount, rows, samples, blockTables, maxBlocks } = this.#layout;
    let row = 0;
    let sample = 0;
    let maxContext = 0;
    let contextTokens = 0;
    let attendedTokens = 0;
    let numPartials = 0;
    const tileRows = this.#tileRows();
    const tiles = { singles: 0, tiles: 0 };
    let needs = NO_NEEDS;
    for (const [table, request] of plan.requests.entries()) {
      const start = request.startPosition + step;
      this.#words.set(request.blockTable, blockTables / 4 + table * maxBlocks);
      for (const [i, tokenId] of request.tokenIds.entries()) {
        const token = step === 0 && tokenId !== LAST_SAMPLED ? tokenId : FROM_SLOT + request.slot;
        const cacheSlot = this.#cacheSlot(request.blockTable, start + i);
        this.#words.set([token, start + i, cacheSlot, attentionWord(table, numPartials)], rows / 4 + row * 4);
        numPartials += numPartialsAt(start + i, ATTENTION_SPLIT);
        row++;
      }
      this.#tile(row - request.tokenIds.length, row, tileRows, tiles);
      const end = start + request.tokenIds.length;
      maxContext = Math.max(maxContext, end);
      contextTokens += end;
      attendedTokens += ((start + 1 + end) * request.tokenIds.length) / 2;
      if (request.samples) {
        const at = (samples + sample * SAMPLE_BYTES) / 4;
        const inputs = { ...request.sampling, row: row - 1, slot: request.slot, position: end };
        needs = addNeeds(needs, writeSample(this.#words, this.#floats, at, inputs));
        sample++;
      }
    }
    this.#words[rowCount / 4] = row;
    this.#words[sampleCount / 4] = sample;
    return {
      words: this.#words.subarray(0, blockTables / 4 + plan.requests.length * maxBlocks),
      shape: { tokens: row, samples: sample, maxContext, contextTokens, attendedTokens, ...tiles, ...needs },
    };
  }

  /** Divides a request's rows, `row` to `end`, into tiles, and counts them. */
  #tile(row: number, end: number, tileRows: number, counts: { singles: number; tiles: number }): void {
    for (let first = row; first < end; first += tileRows) {
      const rows = Math.min(tileRows, end - first);
      const kind = rows === 1 ? 'singles' : 'tiles';
      this.#words.set([first, rows], (this.#layout[kind] + counts[kind] * TILE_BYTES) / 4);
      counts[kind]++;
    }
  }

  #cacheSlot(blockTable: readonly number[], position: number): number {
    const block = blockTable[Math.floor(position / this.#blockSize)];
    if (block === undefined) throw new Error(`the block table ends before position ${position}`);
    return block * this.#blockSize + (position % this.#blockSize);
  }
}
