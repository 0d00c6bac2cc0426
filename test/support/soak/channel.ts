/** The objects that the engine's worker holds at a moment. */
export interface Holdings {
  /** `GPUDevice`s that are neither destroyed nor lost. */
  readonly devices: number;
  /** `GPUBuffer`s of those devices that are not destroyed. */
  readonly buffers: number;
  readonly bufferBytes: number;
  /** Event listeners that were added and not removed, of targets that were not collected, by class and event. */
  readonly listeners: Readonly<Record<string, number>>;
  /** IndexedDB connections that were opened and not closed. */
  readonly connections: number;
  /** Streams into files of the origin's storage that were opened and neither closed nor aborted. */
  readonly writables: number;
}

/** A test's page posts `count`; each worker of the origin answers with its {@link Holdings}. */
export const SOAK_CHANNEL = 'tabserve-test-soak';
