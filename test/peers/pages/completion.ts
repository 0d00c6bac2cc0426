import type { PeerTiming } from '../peer.ts';
import type { TokenClock } from './token-clock.ts';

/** A piece of a streamed completion, as OpenAI's API has it. */
export interface CompletionChunk {
  readonly choices: readonly { readonly text: string }[];
  readonly usage?: { readonly prompt_tokens: number; readonly completion_tokens: number } | null;
}

/** What asks for a completion of exactly so many tokens, greedily, with its usage behind it. */
export function completionRequest(prompt: string, maxTokens: number) {
  const stream = { stream: true, stream_options: { include_usage: true } };
  return { prompt, max_tokens: maxTokens, temperature: 0, ignore_eos: true, ...stream };
}

/** Reads a completion to its end. @param clock started when it was asked for */
export async function readCompletion(chunks: AsyncIterable<CompletionChunk>, clock: TokenClock): Promise<PeerTiming> {
  let text = '';
  let usage = { prompt_tokens: 0, completion_tokens: 0 };
  for await (const chunk of chunks) {
    usage = chunk.usage ?? usage;
    const piece = chunk.choices[0]?.text ?? '';
    if (piece === '') continue;
    clock.tick();
    text += piece;
  }
  return { ...clock.times(), promptTokens: usage.prompt_tokens, outputTokens: usage.completion_tokens, text };
}
