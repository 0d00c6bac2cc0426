import { TemplateLimit } from './errors.ts';

/** Characters examined, compared or copied that count as one step, because they take about as long. */
const CHARS_PER_STEP = 256;
/** Elements of a list examined or copied that count as one step. */
const ELEMENTS_PER_STEP = 16;

/**
 * The work that one rendering may take, counted in steps of the interpreter, because a synchronous interpreter cannot
 * be interrupted. Operations spend their cost before they begin.
 */
export class TemplateBudget {
  #steps: number;
  /**
   * Whether numbers may be data, such as one that the template has read from a message: numbers do not record their
   * origin.
   */
  numbersAreData = false;

  constructor(steps: number) {
    this.#steps = steps;
  }

  /** @throws TemplateLimit */
  spend(steps: number): void {
    this.#steps -= steps;
    // Written so that a cost of NaN ends it too.
    if (!(this.#steps >= 0)) throw new TemplateLimit('it takes too many steps');
  }

  /** Spends the cost of examining this many characters. */
  spendChars(chars: number): void {
    this.spend(chars / CHARS_PER_STEP);
  }

  /** Spends the cost of examining this many elements. */
  spendElements(elements: number): void {
    this.spend(elements / ELEMENTS_PER_STEP);
  }
}
