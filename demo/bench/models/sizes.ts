import { SYNTHETIC, type Synthetic } from './synthetic-model.ts';

/** How much of the `models` part is done. */
export interface ModelSizes {
  /** Tokens of prompts, and of what decode steps attend to. */
  readonly contexts: readonly number[];
  /** Sequences that decode at once. */
  readonly batches: readonly number[];
  /** Steps of one timing of decode. */
  readonly decodeTokens: number;
  readonly repeats: number;
  /** Of each model, loading included; what it has not come to by then is left out. */
  readonly seconds: number;
  /** The models of random weights, and those that are left out unless asked for. */
  readonly shapes: readonly Synthetic[];
  readonly shapesLeftOut: readonly Synthetic[];
}

export interface SizeOptions {
  readonly quick: boolean;
  /** @default what suits the adapter */
  readonly shapes?: readonly string[];
}

/**
 * A software adapter reads some thirty tokens of a prompt a second: it gets short contexts, and no model larger than the
 * default one unless asked.
 *
 * @throws Error for a shape that there is not
 */
export function modelSizesFor(isSoftware: boolean, { quick, shapes: asked }: SizeOptions): ModelSizes {
  const unknown = asked?.filter((name) => !SYNTHETIC.some((known) => known === name)) ?? [];
  if (unknown.length > 0) throw new Error(`There is no shape "${unknown.join('", "')}", only ${SYNTHETIC.join(', ')}.`);
  const suited = SYNTHETIC.filter((key) => !isSoftware || (key === '135m' && !quick));
  const shapes = asked === undefined ? suited : SYNTHETIC.filter((key) => asked.includes(key));
  const shapesLeftOut = SYNTHETIC.filter((key) => !shapes.includes(key));
  const chosen = { shapes, shapesLeftOut };
  if (isSoftware) {
    return quick
      ? { contexts: [128], batches: [1, 4], decodeTokens: 4, repeats: 1, seconds: 20, ...chosen }
      : { contexts: [128, 1024], batches: [1, 2, 4, 8], decodeTokens: 8, repeats: 3, seconds: 180, ...chosen };
  }
  return quick
    ? { contexts: [128, 1024], batches: [1, 4, 16], decodeTokens: 16, repeats: 3, seconds: 20, ...chosen }
    : { contexts: [128, 1024, 4096], batches: [1, 2, 4, 8, 16], decodeTokens: 32, repeats: 5, seconds: 60, ...chosen };
}
