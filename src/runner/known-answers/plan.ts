import type { Task } from '../../core/cooperative-task.ts';
import { matrixBytes } from '../../kernels/matmul.ts';
import { TESTS_OF_KERNELS } from './kernels.ts';
import type { KnownAnswer, TestedModel, TestedOp } from './known-answer.ts';
import { countWidths, type MostBytes } from './products.ts';

/** The most that a test may cost. */
export const MOST_DISPATCHES = 40;
export const MOST_BYTES = 64e6;

/** The ops to test: of each matrix that has known rows, all ops; of those without a matrix, the first of each name. */
function testedOps({ ops, builder, matrices }: TestedModel): readonly TestedOp[] {
  const names = new Set<string>();
  return ops.flatMap((op): TestedOp[] => {
    const bound = builder.boundKernel(op);
    const { weights } = bound.buffers;
    const matrix = matrices.find((each) => each.matrix.weights === weights);
    if (weights === undefined ? names.has(op.name) : matrix === undefined) return [];
    names.add(op.name);
    return [{ op, ...bound, matrix }];
  });
}

/**
 * The known answers of a model's kernels. Those of products in the fewest tokens come first, then those in more. Where there are too many dispatches, the last are left out. Where matrices are too large, the first tiles of each
 * are computed. Yields after each op.
 */
export function* knownAnswers(model: TestedModel): Task<readonly KnownAnswer[]> {
  const tested = testedOps(model);
  const most = mostBytes(tested.filter(isProduct));
  const first: KnownAnswer[] = [];
  const others: KnownAnswer[] = [];
  for (const op of tested) {
    const test = TESTS_OF_KERNELS.get(op.spec.name);
    if (typeof test !== 'function') continue;
    yield;
    const answers = test(model, op, most);
    first.push(...answers.slice(0, isProduct(op) ? 1 : undefined));
    others.push(...answers.slice(isProduct(op) ? 1 : answers.length));
  }
  return withinDispatches([...first, ...others]);
}

/** For the products with the kernels of decoding, and with the others. The rest is for the KV cache and rows of the embedding. */
const SHARES = { first: 42e6, all: 56e6 };

function mostBytes(products: readonly TestedOp[]): MostBytes {
  const sizes = products.map(bytesOf);
  const first = largestShare(sizes, SHARES.first);
  const left = SHARES.all - sizes.reduce((sum, size) => sum + Math.min(size, first), 0);
  return { first, others: largestShare(products.flatMap((op) => Array<number>(countWidths(op) - 1).fill(bytesOf(op))), left) };
}

function isProduct({ spec, matrix }: TestedOp): boolean {
  return matrix !== undefined && spec.name !== 'embed';
}

function bytesOf({ matrix }: TestedOp): number {
  return matrix === undefined ? 0 : matrixBytes(matrix.matrix);
}

/** The most that each of these may take, where they may take `total` together and small ones leave their rest to large ones. */
export function largestShare(sizes: readonly number[], total: number): number {
  let left = total;
  for (const [i, size] of sizes.toSorted((a, b) => a - b).entries()) {
    const share = left / (sizes.length - i);
    if (size > share) return share;
    left -= size;
  }
  return Infinity;
}

function withinDispatches(answers: readonly KnownAnswer[]): readonly KnownAnswer[] {
  let dispatches = 0;
  return answers.filter((answer) => {
    if (dispatches + answer.dispatches.length > MOST_DISPATCHES) return false;
    dispatches += answer.dispatches.length;
    return true;
  });
}
