import { type PackedMatrix, matrixBytes } from '../../kernels/matmul.ts';
import type { Grid, StepShape } from '../../gpu/op.ts';
import { TILE_ROWS } from '../../quant/packed-layout.ts';
import { KnownProduct } from './known-product.ts';
import {
  bufferOf, countOf, firstOf, type KnownAnswer, ROWS, Sequence, stepOf, type TestedModel, type TestedOp, type Results, type Write, wrong,
} from './known-answer.ts';
import { exact, type Expected, productReference, siluMulReference, squaresReference, sumReference } from './references.ts';

/** An op with a matrix, and its inputs. */
export interface TestedProduct extends TestedOp {
  readonly packed: PackedMatrix;
  readonly product: KnownProduct;
  /** Whether a lane has an output of the matrix's first half and the matching one of its second half. */
  readonly isPaired: boolean;
}

/** The part of a product's test that depends on its epilogue. */
export interface EpilogueTest {
  /** The most tokens of a step. @default ROWS */
  readonly mostTokens?: number;
  readonly stepOf?: (tokens: number) => StepShape;
  /** Inputs besides x, the squares and the count of tokens. */
  readonly writes: readonly Write[];
  readonly reads: (tokens: number) => KnownAnswer['reads'];
  /** @param outputs that were computed: the first of the matrix, or of its halves */
  readonly check: (results: Results, tokens: number, outputs: number) => string | undefined;
}

/** The most bytes of a matrix that a product reads. A larger matrix is computed in part: its first tiles. */
export interface MostBytes {
  /** With the kernel of the fewest tokens, that of decoding. */
  readonly first: number;
  readonly others: number;
}

/**
 * The product in each number of tokens for which a kernel of its own is compiled, the fewest first. One block of tokens
 * each, so that weights are read once.
 */
export function productAnswers(model: TestedModel, tested: TestedProduct, test: EpilogueTest, most: MostBytes): KnownAnswer[] {
  const { op, packed, product, isPaired } = tested;
  const outputs = isPaired ? packed.rows / 2 : packed.rows;
  return widthsOf(tested, test).map((tokens, i): KnownAnswer => {
    const step = test.stepOf?.(tokens) ?? stepOf({ tokens });
    const { grid, share } = partOf(op.grid(step), matrixBytes(packed), i === 0 ? most.first : most.others);
    const covered = share === 1 ? outputs : Math.floor((outputs * share) / TILE_ROWS) * TILE_ROWS;
    const before = quantiseBefore(model, tested);
    const squares = tested.buffers['squares'];
    const isNormalised = tested.spec.bindings['squares'] === 'read';
    return {
      kernel: op.name,
      writes: [
        { to: bufferOf(before ?? tested, 'x'), data: product.x },
        ...(before === undefined ? [] : [{ to: bufferOf(before, 'counts'), data: countOf(ROWS) }]),
        ...(squares === undefined || !isNormalised ? [] : [{ to: bufferOf(tested, 'squares'), data: product.squares }]),
        { to: bufferOf(tested, 'counts'), data: countOf(tokens) },
        ...test.writes,
      ],
      dispatches: [...(before === undefined ? [] : [{ op: before.op, step: stepOf({ tokens: ROWS }) }]), { op, step, grid }],
      reads: test.reads(tokens),
      bytes: share * matrixBytes(packed),
      check: (results) => test.check(results, tokens, covered),
    };
  });
}

/** The number of kernels of a product that are compiled. */
export function countWidths(tested: TestedOp): number {
  return widthsOf(tested, {}).length;
}

function widthsOf({ op }: TestedOp, { mostTokens = ROWS, stepOf: toStep }: Partial<EpilogueTest>): readonly number[] {
  const seen = new Set<GPUComputePipeline>();
  const widest = [8, 4, 2, 1].filter((tokens) => {
    const step = toStep?.(tokens) ?? stepOf({ tokens, samples: tokens });
    if (tokens > mostTokens || op.grid(step)[0] !== 1 || seen.has(op.pipeline(step))) return false;
    seen.add(op.pipeline(step));
    return true;
  });
  return widest.toReversed();
}

/** Workgroups that are whole tiles, whatever the tiling. */
const WHOLE_TILES = 16;

/** The first workgroups of a product, as many as read no more than `most` of its `bytes`. */
function partOf([x, y, z]: Grid, bytes: number, most: number): { readonly grid: Grid; readonly share: number } {
  const part = Math.max(1, Math.floor((y * most) / bytes / WHOLE_TILES)) * WHOLE_TILES;
  return bytes <= most || part >= y ? { grid: [x, y, z], share: 1 } : { grid: [x, part, z], share: part / y };
}

/** The op that quantises the product's x, where one does: the last before it. */
function quantiseBefore({ ops, builder }: TestedModel, { op, packed }: TestedProduct): TestedOp | undefined {
  if (packed.numerics === 'f32') return undefined;
  const before = ops.slice(0, ops.findIndex(({ bindGroup }) => bindGroup === op.bindGroup)).map((each) => ({ op: each, ...builder.boundKernel(each) }));
  const found = before.findLast(({ spec }) => spec.name === 'quantise');
  if (found === undefined) throw new Error(`nothing quantises x of ${op.name}`);
  return { ...found, matrix: undefined };
}

/** An op's product. @param norm of x, where it is normalised */
export function testedProduct(
  { config }: TestedModel,
  tested: TestedOp,
  { isPaired = false, notNumbers = [] }: { readonly isPaired?: boolean; readonly notNumbers?: readonly number[] } = {},
): TestedProduct {
  const { matrix, spec } = tested;
  if (matrix === undefined) throw new Error(`${spec.name} has no matrix`);
  const norm = spec.bindings['squares'] === 'read' ? { size: config.hiddenSize, epsilon: config.rmsNormEps } : undefined;
  return { ...tested, packed: matrix.matrix, product: new KnownProduct(matrix, norm, notNumbers), isPaired };
}

const nth = <T>(numbers: ArrayLike<T>, i: number): T | undefined => numbers[i];

/** y = x · Wᵀ, stored in some columns of a wider row. */
export function storeAnswers(model: TestedModel, op: TestedOp, most: MostBytes): KnownAnswer[] {
  const tested = testedProduct(model, op);
  const { product, packed } = tested;
  const { offset, stride } = placeOf(model, packed);
  const check: EpilogueTest['check'] = (results, tokens, outputs) => {
    const y = results.floats('y');
    return firstOf(
      knownOutputs(product, tokens, outputs).map(([row, token, expected]) =>
        wrong(`output ${row} of row ${token}`, nth(y, token * stride + offset + row), expected),
      ),
    );
  };
  const reads: EpilogueTest['reads'] = (tokens) => ({ y: { from: bufferOf(op, 'y'), size: 4 * tokens * stride } });
  return productAnswers(model, tested, { writes: [], reads, check }, most);
}

/** Outputs whose rows are known, of all tokens. */
export function knownOutputs(product: KnownProduct, tokens: number, outputs: number): (readonly [row: number, token: number, expected: Expected])[] {
  const rows = product.rows.filter((row) => row < outputs);
  return Array.from({ length: tokens }, (_, token) =>
    rows.flatMap((row) => {
      const expected = product.output(row, token);
      return expected === undefined ? [] : [[row, token, expected] as const];
    }),
  ).flat();
}

/** The first output of a matrix in a row of its projection, and the row's length. */
export function placeOf({ weights }: TestedModel, packed: PackedMatrix): { readonly offset: number; readonly stride: number } {
  const projections = weights.layers.flatMap(({ qkv, gateUp }) => [qkv, gateUp]);
  const projection = projections.find((parts) => parts.some(({ matrix }) => matrix === packed)) ?? [];
  const offset = projection.find(({ matrix }) => matrix === packed)?.outputOffset;
  if (offset === undefined) throw new Error('the matrix is in no projection');
  return { offset, stride: projection.reduce((sum, { matrix }) => sum + matrix.rows, 0) };
}

/** hidden += x · Wᵀ, then hidden times a gain, and the sums of squares of every 32 of hidden. */
export function residualAnswers(model: TestedModel, op: TestedOp, most: MostBytes): KnownAnswer[] {
  const tested = testedProduct(model, op);
  const { product, packed } = tested;
  const { rows: size } = packed;
  const hidden = new Sequence(size).floats(ROWS * size, 1);
  const check: EpilogueTest['check'] = (results, tokens, outputs) =>
    firstOf(
      knownOutputs(product, tokens, outputs).map(([row, token, expected]) => {
        const before = nth(hidden, token * size + row) ?? NaN;
        return wrong(`output ${row} of row ${token}`, nth(results.floats('hidden'), token * size + row), sumReference(expected, before));
      }),
    ) ?? wrongNormInputs(results, tokens, size, outputs);
  const reads: EpilogueTest['reads'] = (tokens) => normInputs(op, tokens, size);
  return productAnswers(model, tested, { writes: [{ to: bufferOf(op, 'hidden'), data: hidden }], reads, check }, most);
}

/** The outputs of a kernel that writes the residual stream. */
export function normInputs(op: TestedOp, tokens: number, size: number): KnownAnswer['reads'] {
  const squaresSize = 16 * Math.ceil(size / 128);
  return {
    hidden: { from: bufferOf(op, 'hidden'), size: 4 * tokens * size },
    weighted: { from: bufferOf(op, 'weighted'), size: 4 * tokens * size },
    squares: { from: bufferOf(op, 'squares'), size: tokens * squaresSize },
    gain: { from: bufferOf(op, 'gain'), size: 4 * size, isKept: true },
  };
}

/** The next norm's inputs, by the stream as it was written. */
export function wrongNormInputs(results: Results, tokens: number, size: number, outputs: number): string | undefined {
  const [hidden, weighted, squares, gain] = ['hidden', 'weighted', 'squares', 'gain'].map((name) => results.floats(name));
  if (hidden === undefined || weighted === undefined || squares === undefined || gain === undefined) return undefined;
  const stride = squares.length / tokens;
  for (let token = 0; token < tokens; token++) {
    const row = hidden.subarray(token * size, (token + 1) * size);
    for (let i = 0; i < outputs; i++) {
      if (!Number.isFinite(gain[i])) continue; // in the file
      const expected = productReference(exact(row[i] ?? NaN), exact(gain[i] ?? NaN));
      const fault = wrong(`output ${i} of row ${token}, times the norm's gain,`, weighted[token * size + i], withTiny(expected));
      if (fault !== undefined) return fault;
    }
    for (let first = 0; first < outputs; first += 32) {
      const expected = squaresReference(row.subarray(first, first + 32));
      const fault = wrong(`the sum of squares from output ${first} of row ${token}`, squares[token * stride + first / 32], withTiny(expected));
      if (fault !== undefined) return fault;
    }
  }
  return undefined;
}

/** A GPU may flush subnormal numbers to 0. */
function withTiny({ value, error }: Expected): Expected {
  return { value, error: error + 2 ** -120 };
}

/** silu(gate) * up, of the matrix's halves. */
export function siluMulProductAnswers(model: TestedModel, op: TestedOp, most: MostBytes): KnownAnswer[] {
  const tested = testedProduct(model, op, { isPaired: true });
  const { product, packed } = tested;
  const size = packed.rows / 2;
  const check: EpilogueTest['check'] = (results, tokens, outputs) =>
    firstOf(
      knownOutputs(product, tokens, Math.min(outputs, size)).map(([row, token, gate]) => {
        const up = product.output(row + size, token);
        const [expected] = up === undefined ? [] : siluMulReference([gate], [up]);
        return expected && wrong(`output ${row} of row ${token}`, nth(results.floats('y'), token * size + row), withTiny(expected));
      }),
    );
  const reads: EpilogueTest['reads'] = (tokens) => ({ y: { from: bufferOf(op, 'y'), size: 4 * tokens * size } });
  return productAnswers(model, tested, { writes: [], reads, check }, most);
}

/** silu(gate) * up, where gate and up are two matrices. */
export function siluMulAnswers(_model: TestedModel, op: TestedOp): KnownAnswer[] {
  const { y } = { y: bufferOf(op, 'y') };
  const size = sizeOfGates(_model);
  const gateUp = new Sequence(size).floats(ROWS * 2 * size, 6);
  const rowOf = (token: number, half: number): Expected[] =>
    Array.from(gateUp.subarray((2 * token + half) * size, (2 * token + half + 1) * size), exact);
  return [{
    kernel: op.op.name,
    writes: [{ to: bufferOf(op, 'gateUp'), data: gateUp }, { to: bufferOf(op, 'counts'), data: countOf(ROWS) }],
    dispatches: [{ op: op.op, step: stepOf({ tokens: ROWS }) }],
    reads: { y: { from: y, size: 4 * ROWS * size } },
    bytes: 0,
    check: (results) =>
      firstOf(
        Array.from({ length: ROWS }, (_, token) =>
          siluMulReference(rowOf(token, 0), rowOf(token, 1)).map((expected, i) =>
            wrong(`output ${i} of row ${token}`, nth(results.floats('y'), token * size + i), withTiny(expected)),
          ),
        ).flat(),
      ),
  }];
}

function sizeOfGates({ weights }: TestedModel): number {
  const [layer] = weights.layers;
  return (layer?.gateUp.reduce((sum, { matrix }) => sum + matrix.rows, 0) ?? 0) / 2;
}
