import type { Task } from '../core/cooperative-task.ts';
import type { TextPart } from './jinja/text.ts';
import { createLiteralMatcher } from './literals.ts';

/** A piece of a prompt: text, or a control token. */
export type PromptPiece = { readonly text: string } | { readonly controlTokenId: number };

/**
 * Splits a prompt at its control tokens. All characters of a control token are the template's own and adjacent: a
 * message's text never makes one, alone or with the text beside it. Texts between control tokens are not split.
 */
export type SplitPrompt = (parts: readonly TextPart[]) => Task<readonly PromptPiece[]>;

/** @param ids token id by the control token's text */
export function createPromptSplitter(ids: ReadonlyMap<string, number>): SplitPrompt {
  // A control token of a single code point is left as text, because people write it.
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
