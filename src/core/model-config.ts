/** The shape of a decoder-only transformer, read from a model file. All sizes are in elements. */
export interface ModelConfig {
  /** The architecture's name as the file gives it, e.g. `llama`. */
  readonly architecture: string;
  /** The model's own name, for people. */
  readonly name: string;
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly headSize: number;
  /** How many leading elements of a head are rotated; even, at most `headSize`. */
  readonly ropeDimensions: number;
  readonly ropeTheta: number;
  /** Which elements RoPE pairs: neighbours (2i, 2i+1), or halves (i, i + ropeDimensions/2). */
  readonly ropeStyle: 'interleaved' | 'half-split';
  /** Positions are divided by it before they are rotated by: RoPE scaling of type `linear`. */
  readonly ropeScalingFactor: number;
  /** Whether the file may divide each pair's angle by a factor of its own: Llama 3's RoPE scaling. */
  readonly ropeFactors: boolean;
  /** Whether queries, keys and values have biases. */
  readonly qkvBias: boolean;
  /** Whether each head's queries and keys are normalised before they are rotated. */
  readonly qkNorm: boolean;
  readonly rmsNormEps: number;
  /** The longest sequence the model was made for, in tokens. */
  readonly maxPositionEmbeddings: number;
  /** Whether the output head is the token embedding itself. */
  readonly tiedEmbeddings: boolean;
}
