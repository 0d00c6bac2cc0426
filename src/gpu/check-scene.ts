/**
 * The pseudo-random words of a buffer in a check. They are ordinary numbers whether a kernel reads them as f32, as pairs of
 * f16 or as four int8, so that one kind serves every layout of activations and of the KV cache. As f32, `signed` and
 * `positive` are of 2^-7 to 2 in size, `small` of 2^-15 to 2^-7, `large` of about 10^4, and `tiny` are subnormal, with 0 and
 * -0 among them.
 */
export type Numbers = 'signed' | 'positive' | 'small' | 'large' | 'tiny';

/**
 * The buffers on which two variants of a kernel run to be compared. Those that are not named are the op's own: weights, and
 * tables that no step writes.
 */
export interface CheckScene {
  /** The words of a step's inputs, by binding. */
  readonly words: Readonly<Record<string, Uint32Array<ArrayBuffer>>>;
  /** Activations and caches that are only read, by binding. */
  readonly numbers: Readonly<Record<string, Numbers>>;
  /** Bytes of every buffer that is written, by binding: scratch memory in place of what steps use. */
  readonly outputs: Readonly<Record<string, number>>;
}

/** A product's scene with ordinary numbers, with large ones and with tiny ones as x. Another kernel's scene is the only one. */
export function scenesOf(scene: CheckScene): readonly CheckScene[] {
  const { numbers } = scene;
  if (numbers['x'] === undefined) return [scene];
  return (['signed', 'large', 'tiny'] as const).map((x) => ({ ...scene, numbers: { ...numbers, x } }));
}
