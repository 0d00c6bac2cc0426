/** A line of an expanded text, and the line (from 1) of the original that it comes from. */
export interface ExpandedLine {
  readonly text: string;
  readonly line: number;
}

const FOR = /^\s*#for (\w+) in (\w+)$/;
const END = /^\s*#end$/;

/**
 * Repeats the lines between `#for t in TOKENS` and its `#end` for t = 0, 1, ... `counts.TOKENS` - 1, with `#t` replaced by
 * the number. Loops nest; a count of 0 leaves the lines out.
 *
 * @throws Error where a count is missing, or an `#end`, or there is one too many.
 */
export function expand(text: string, counts: Readonly<Record<string, number>>): ExpandedLine[] {
  const lines = text.split('\n').map((line, index) => ({ text: line, line: index + 1 }));
  return expandLines(lines, counts);
}

function expandLines(lines: readonly ExpandedLine[], counts: Readonly<Record<string, number>>): ExpandedLine[] {
  const result: ExpandedLine[] = [];
  for (let i = 0; i < lines.length; i++) {
    const current = lines[i];
    if (current === undefined) break;
    if (END.test(current.text)) throw new Error(`line ${current.line}: #end without #for`);
    const [, name, times] = FOR.exec(current.text) ?? [];
    if (name === undefined || times === undefined) {
      result.push(current);
      continue;
    }
    const count = counts[times];
    if (count === undefined) throw new Error(`line ${current.line}: no count is given for ${times}`);
    const end = endOf(lines, i);
    const body = lines.slice(i + 1, end);
    for (let t = 0; t < count; t++) {
      const numbered = body.map(({ text, line }) => ({ text: text.replaceAll(`#${name}`, `${t}`), line }));
      for (const line of expandLines(numbered, counts)) result.push(line);
    }
    i = end;
  }
  return result;
}

/** Where the loop that begins at `start` ends. */
function endOf(lines: readonly ExpandedLine[], start: number): number {
  let depth = 0;
  for (let i = start; i < lines.length; i++) {
    const text = lines[i]?.text ?? '';
    if (FOR.test(text)) depth++;
    if (END.test(text)) depth--;
    if (depth === 0) return i;
  }
  throw new Error(`line ${lines[start]?.line}: #for without #end`);
}
