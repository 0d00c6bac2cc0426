import type { ChatTemplateOrigin } from './protocol.ts';

/** How far loading has come. Bytes are of the model file. */
export interface LoadProgress {
  /**
   * `open`: reading the header; `download`: bytes coming over the network; `load`: bytes coming from the cache or a
   * local file (both go to the GPU as they come); `compile`: shaders; `ready`. `wait`, before all of them: another
   * engine of this origin, such as a tab's that has an older version of the page, has the GPU and is to let go of it.
   */
  readonly stage: 'wait' | 'open' | 'download' | 'load' | 'compile' | 'ready';
  readonly bytesDone: number;
  /** 0 while unknown. */
  readonly bytesTotal: number;
  readonly bytesPerSecond: number;
  /** Infinity while unknown. */
  readonly secondsLeft: number;
  /** Where the model's chat template comes from; absent until the file's header has been read, before its weights are. */
  readonly chatTemplate?: ChatTemplateOrigin;
}
