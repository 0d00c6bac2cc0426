import { attentionAnswers } from './attended.ts';
import { logitsAnswers, sampleFinalAnswers, samplePartialAnswers } from './draws.ts';
import { embedAnswers } from './embedding.ts';
import type { KnownAnswer, TestedModel, TestedOp } from './known-answer.ts';
import { type MostBytes, residualAnswers, siluMulAnswers, siluMulProductAnswers, storeAnswers } from './products.ts';
import { ropeKvWriteAnswers, ropeKvWriteProductAnswers } from './rotation.ts';

/** The known answers of an op: of a product in each number of tokens for which it has a kernel, the fewest first. */
type Answers = (model: TestedModel, op: TestedOp, most: MostBytes) => readonly KnownAnswer[];

/** Why a kernel has no answers of its own. */
interface Untested {
  readonly because: string;
}

const BESIDE_PRODUCTS: Untested = { because: 'it runs with the products that read its output' };
const ON_REQUEST: Untested = { because: 'it runs for requests that ask for it, and changes no other' };

/** By the name of the kernel's declaration. A test holds that every kernel of a decoder has an entry. */
export const TESTS_OF_KERNELS: ReadonlyMap<string, Answers | Untested> = new Map<string, Answers | Untested>([
  ['embed', embedAnswers],
  ['quantise', BESIDE_PRODUCTS],
  ['matmul-normalised', storeAnswers],
  ['matmul-rope-kv-write', ropeKvWriteProductAnswers],
  ['matmul-bias-rope-kv-write', ropeKvWriteProductAnswers],
  ['matmul-residual', residualAnswers],
  ['matmul-silu-mul', siluMulProductAnswers],
  ['matmul-logits', logitsAnswers],
  ['rope-kv-write', ropeKvWriteAnswers],
  ['bias-rope-kv-write', ropeKvWriteAnswers],
  ['norm-rope-kv-write', ropeKvWriteAnswers],
  ['attention', attentionAnswers],
  ['attention-merge', { because: 'it runs after attention' }],
  ['silu-mul', siluMulAnswers],
  ['logit-bias', ON_REQUEST],
  ['penalties', ON_REQUEST],
  ['filter-max', ON_REQUEST],
  ['filter-begin', ON_REQUEST],
  ['filter-histogram', ON_REQUEST],
  ['filter-pick', ON_REQUEST],
  ['sample-partial', samplePartialAnswers],
  ['sample-final', sampleFinalAnswers],
]);
