import { parseSync } from 'vite';

/** A comment: a block, or the `//` lines that follow one another, without their marks. */
export interface Comment {
  /** From 1. */
  readonly line: number;
  readonly text: string;
}

/** The comments of a TypeScript or WGSL file. */
export function commentsOf(file: string, text: string): readonly Comment[] {
  const found = file.endsWith('.wgsl') ? lineComments(text) : parseSync(file, text).comments;
  const comments: Comment[] = [];
  let previousEnd = -1;
  for (const { type, value, start, end } of found) {
    const body = type === 'Block' ? value.replace(/^\s*\* ?/gm, '') : value;
    const last = comments.at(-1);
    const goesOn = type === 'Line' && previousEnd >= 0 && /^\s*$/.test(text.slice(previousEnd, start)) && !hasCodeBefore(text, start);
    if (goesOn && last !== undefined) comments[comments.length - 1] = { ...last, text: `${last.text}\n${body.trim()}` };
    else comments.push({ line: text.slice(0, start).split('\n').length, text: body.trim() });
    previousEnd = type === 'Line' && !hasCodeBefore(text, start) ? end : -1;
  }
  return comments;
}

/** The sentences of a comment. A sentence begins at the start of a paragraph or tag, or with a capital after a mark. */
export function sentencesOf({ text }: Comment): readonly string[] {
  const paragraphs = text.split(/\n\s*\n|\n(?=@|- )|(?=@(?:param|returns|throws|default)\b)/);
  return paragraphs.flatMap((paragraph) => paragraph.replaceAll(/\s+/g, ' ').trim().split(/(?<=[.!?:;]) (?=[A-Z])/));
}

/** Sentences that open with a clause in the place of a noun: "What is late ...". Questions may. */
export function nominalOpenings(comment: Comment): readonly string[] {
  return sentencesOf(comment).filter((sentence) => /^(What|Who|Whoever)\b/.test(sentence) && !sentence.endsWith('?'));
}

/** The names of the list that stand in a text as whole words. A name's own punctuation bounds it as well. */
export function namesIn(text: string, names: readonly string[]): readonly string[] {
  return names.filter((name) => text.includes(name) && bounded(name).test(text));
}

function bounded(name: string): RegExp {
  const literal = name.replaceAll(/[$()*+./?[\\\]^{|}]/g, String.raw`\$&`);
  const before = /^\w/.test(name) ? String.raw`(?<![\w$])(?<!\w-)` : '';
  const after = /\w$/.test(name) ? String.raw`(?![\w$])(?!-\w)` : '';
  return new RegExp(before + literal + after);
}

function hasCodeBefore(text: string, start: number): boolean {
  return text.slice(text.lastIndexOf('\n', start - 1) + 1, start).trim() !== '';
}

function lineComments(text: string): readonly { type: 'Line'; value: string; start: number; end: number }[] {
  return [...text.matchAll(/\/\/(?<value>.*)/g)].map(({ index, 0: whole, groups }) => ({
    type: 'Line', value: groups?.['value'] ?? '', start: index, end: index + whole.length,
  }));
}
