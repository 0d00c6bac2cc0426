import type { Task } from '../core/cooperative-task.ts';
import type { TextPart } from './jinja/text.ts';
import { createLiteralMatcher } from './literals.ts';

/** A piece of a prompt: text, or a control token. */
export type PromptPiece = { readonly text: string } | { readonly controlTokenId: number };

/**
 * Cuts a prompt at its control tokens. All characters of one are the template's own, side by side: none comes of a
 * message's text, or of that and what stands beside it. Texts between control tokens are whole.
 */
export type SplitPrompt = (parts: readonly TextPart[]) => Task<readonly PromptPiece[]>;

/** @param ids token id by the control token's text */
export function createPromptSplitter(ids: ReadonlyMap<string, number>): SplitPrompt {
  // One of a single code point is left as text: people write it.
  const matcher = createLiteralMatcher([...ids.keys()].filter((name) => [...name].length > 1));
  return function* splitPrompt(parts) {
    const pieces: PromptPiece[] = [];
    let text = '';
    for (const part of parts) {
      const cuts = part.isOwn ? yield* matcher.split(part.text) : [part.text];
      for (const [index, cut] of cuts.entries()) {
        const controlTokenId = index % 2 === 1 ? ids.get(cut) : undefined;
        if (controlTokenId === undefined) {
          text += cut;
          continue;
        }
        pieces.push({ text }, { controlTokenId });
        text = '';
      }
    }
    return [...pieces, { text }];
  };
}
