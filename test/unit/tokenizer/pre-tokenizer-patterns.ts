/** `\s` and `\S` as other regular expressions have them: JavaScript's count U+FEFF as white space and U+0085 not. */
const unicodeSpaces = (pattern: string): string =>
  pattern.replaceAll('\\s', '\\p{White_Space}').replaceAll('\\S', '\\P{White_Space}');

const GPT2 = unicodeSpaces("'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+");

/** The pattern that Llama 3 and Qwen 2 share but for how many digits stay together. */
const cl100k = (digits: string): string =>
  unicodeSpaces(
    `'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}` +
      '| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+',
  );

/**
 * The regular expressions in the families' own tokenizer.json files, by the name of the pre-tokenizer: applied in turn, each
 * to the pieces that the one before left.
 */
export const PATTERNS = {
  smollm: ['\\p{N}', GPT2],
  'gpt-2': [GPT2],
  'llama-bpe': [cl100k('\\p{N}{1,3}')],
  qwen2: [cl100k('\\p{N}')],
} as const;

/** The text cut by each pattern in turn: what matches is a piece, and so is what lies between. */
export function cutByPatterns(text: string, patterns: readonly string[]): readonly string[] {
  let pieces: readonly string[] = [text];
  for (const pattern of patterns) {
    pieces = pieces.flatMap((piece) => {
      const parts: string[] = [];
      let end = 0;
      for (const match of piece.matchAll(new RegExp(pattern, 'gu'))) {
        parts.push(piece.slice(end, match.index), match[0]);
        end = match.index + match[0].length;
      }
      return [...parts, piece.slice(end)].filter((part) => part !== '');
    });
  }
  return pieces;
}
