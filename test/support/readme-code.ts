import { readText } from '../unit/structure/source-graph.ts';

/** The code block behind `<!-- code:NAME -->` in README.md, so that what it tells people to write is what is tested. */
export function readmeCode(name: string): string {
  const [, after] = readText('README.md').split(`<!-- code:${name} -->\n`);
  const code = /^```\w+\n(?<code>[^]*?)^```$/m.exec(after ?? '')?.groups?.['code'];
  if (code === undefined) throw new Error(`README.md has no code block called ${name}`);
  return code;
}

/** The text with one part replaced, which must be there. */
export function adapt(code: string, replacements: Readonly<Record<string, string>>): string {
  return Object.entries(replacements).reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`README.md's code has no ${from}`);
    return text.replace(from, to);
  }, code);
}
