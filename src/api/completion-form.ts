import type { CompletionFinishReason, CompletionUsage } from './completion-types.ts';

/** The fields that a whole answer and all chunks of a stream share. */
export interface CompletionHeader {
  readonly id: string;
  /** Unix seconds. */
  readonly created: number;
  readonly model: string;
}

/** A whole choice, before it has an endpoint's form. */
export interface Answer {
  readonly text: string;
  readonly finishReason: CompletionFinishReason;
}

/** How an endpoint writes the chunks of a stream. A choice is an opening, texts and a finish. */
export interface ChunkForm<Chunk> {
  /** Undefined where nothing comes before the generated text. */
  opening(index: number): Chunk | undefined;
  text(index: number, text: string): Chunk;
  finish(index: number, finishReason: CompletionFinishReason): Chunk;
  /** The chunk after the last choice has ended, where `stream_options.include_usage` asks for one. */
  usage(usage: CompletionUsage): Chunk;
}

/** How an endpoint writes its answers. */
export interface CompletionForm<Chunk, Whole> {
  /** The answer's id, from any unique string. */
  id(unique: string): string;
  /** @param includeUsage whether a usage chunk comes at the end; all the others then carry `usage: null` */
  chunks(header: CompletionHeader, includeUsage: boolean): ChunkForm<Chunk>;
  /** @param answers by index */
  whole(header: CompletionHeader, answers: readonly Answer[], usage: CompletionUsage): Whole;
}
