import type { Interpreter } from '@huggingface/jinja';

/** A value of the template language. */
export type TemplateValue = ReturnType<Interpreter['evaluate']>;

/** Thrown where a template has had its share of work. */
export class TemplateLimit extends Error {}

/** Characters looked at or copied that count as one step: each takes about as long. */
const CHARS_PER_STEP = 256;
/** An element of a list counts as this many characters. */
const ELEMENT_CHARS = 16;
/** Lists inside lists, deeper than any message is. */
const MAX_DEPTH = 64;

/** What is inside something must not change: the names under which Jinja has what is mutable. */
const MUTABLE = 'NamespaceValue';

/** The work that one rendering may take, counted in steps of the interpreter, since nothing could interrupt it. */
export class TemplateBudget {
  #steps: number;
  /** Lists and mappings never change once they are made, so each is measured once. */
  readonly #measured = new WeakMap<object, Measure>();

  constructor(steps: number) {
    this.#steps = steps;
  }

  /** @throws TemplateLimit */
  spend(steps: number): void {
    this.#steps -= steps;
    // Infinity - Infinity is no number.
    if (!(this.#steps >= 0)) throw new TemplateLimit('it takes too many steps');
  }

  /** Spends what it costs to look at this much text. */
  spendChars(chars: number): void {
    this.spend(chars / CHARS_PER_STEP);
  }

  /** How long a value would be if it were written out; Infinity where that has no bound. */
  sizeOf(value: TemplateValue): number {
    if (value.type !== MUTABLE) return this.#measure(value).size;
    const entries = [...(value.value as ReadonlyMap<string, TemplateValue>)];
    return entries.reduce((sum, [key, entry]) => sum + key.length + this.#measure(entry).size, 1);
  }

  #measure(value: TemplateValue): Measure {
    if (value.type === 'StringValue') return { size: 1 + (value.value as string).length, depth: 0 };
    if (value.type === MUTABLE) return { size: Infinity, depth: 0 };
    const parts = childrenOf(value);
    if (parts === undefined) return { size: 1, depth: 0 };
    const known = this.#measured.get(value);
    if (known !== undefined) return known;
    let [size, depth] = [1, 0];
    for (const [key, child] of parts) {
      const inner = this.#measure(child);
      size += ELEMENT_CHARS + key.length + inner.size;
      depth = Math.max(depth, inner.depth + 1);
    }
    const measure = { size: depth > MAX_DEPTH ? Infinity : size, depth };
    this.#measured.set(value, measure);
    return measure;
  }
}

interface Measure {
  readonly size: number;
  readonly depth: number;
}

/** What a list or mapping holds, with keys; undefined for other values. */
function childrenOf(value: TemplateValue): Iterable<readonly [string, TemplateValue]> | undefined {
  if (Array.isArray(value.value)) return (value.value as TemplateValue[]).map((child) => ['', child] as const);
  return value.value instanceof Map ? (value.value as Map<string, TemplateValue>) : undefined;
}
