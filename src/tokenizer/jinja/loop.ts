import { type TemplateBudget } from './budget.ts';
import { equals } from './comparing.ts';
import { TemplateFault } from './errors.ts';
import { Callable, Entity, orElse, Undefined, type Value } from './values.ts';

/** The `loop` object: the state of a loop. */
export class Loop extends Entity {
  override readonly name = 'LoopContext';
  /** The iteration, from 0. */
  round = 0;
  readonly #items: readonly Value[];
  readonly #budget: TemplateBudget;
  #seen: readonly Value[] | undefined;

  constructor(items: readonly Value[], budget: TemplateBudget) {
    super();
    this.#items = items;
    this.#budget = budget;
  }

  override attribute(name: string): Value | undefined {
    const [round, length] = [this.round, this.#items.length];
    switch (name) {
      case 'index':
        return round + 1;
      case 'index0':
        return round;
      case 'revindex':
        return length - round;
      case 'revindex0':
        return length - round - 1;
      case 'first':
        return round === 0;
      case 'last':
        return round === length - 1;
      case 'length':
        return length;
      case 'previtem':
        return orElse(this.#items[round - 1], () => new Undefined('there is no previous item'));
      case 'nextitem':
        return orElse(this.#items[round + 1], () => new Undefined('there is no next item'));
      case 'depth':
        return 1;
      case 'depth0':
        return 0;
      case 'cycle':
        return new Callable(name, ({ positional }) => {
          if (positional.length === 0) throw new TemplateFault('no items for cycling given');
          return positional[round % positional.length] ?? null;
        });
      case 'changed':
        return new Callable(name, ({ positional }) => this.#changed(positional));
      default:
        return undefined;
    }
  }

  #changed(values: readonly Value[]): boolean {
    const changed = this.#seen === undefined || !equals(this.#seen, values, this.#budget);
    if (changed) this.#seen = values;
    return changed;
  }
}
