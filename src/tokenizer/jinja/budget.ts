import { TemplateLimit } from './errors.ts';

/** Characters looked at, compared or copied that count as one step: each takes about as long. */
const CHARS_PER_STEP = 256;
/** Elements of a list looked at or copied that count as one step. */
const ELEMENTS_PER_STEP = 16;

/**
 * The work that one rendering may take, counted in steps of the interpreter, since nothing could interrupt it. Work is
 * paid before it is done.
 */
export class TemplateBudget {
  #steps: number;
  /** Whether a number may be data, such as one that the template has read from a message: none says where it is from. */
  numbersAreData = false;

  constructor(steps: number) {
    this.#steps = steps;
  }

  /** @throws TemplateLimit */
  spend(steps: number): void {
    this.#steps -= steps;
    // Written so that a cost that is no number ends it too.
    if (!(this.#steps >= 0)) throw new TemplateLimit('it takes too many steps');
  }

  /** Spends what it costs to look at this much text. */
  spendChars(chars: number): void {
    this.spend(chars / CHARS_PER_STEP);
  }

  /** Spends what it costs to look at so many elements. */
  spendElements(elements: number): void {
    this.spend(elements / ELEMENTS_PER_STEP);
  }
}
