import { readText } from '../unit/structure/source-graph.ts';

/** The pages whose code blocks tests run. */
const PAGES = ['README.md', 'docs/install.md', 'docs/usage.md'];

/** The code block behind `<!-- code:NAME -->` in one of the pages, so that readers get the code that was tested. */
export function documentedCode(name: string): string {
  const [, after] = PAGES.map(readText).join('\n').split(`<!-- code:${name} -->\n`);
  const code = /^```\w+\n(?<code>[^]*?)^```$/m.exec(after ?? '')?.groups?.['code'];
  if (code === undefined) throw new Error(`${PAGES.join(', ')} have no code block called ${name}`);
  return code;
}

/** The text with one part replaced, which must be there. */
export function adapt(code: string, replacements: Readonly<Record<string, string>>): string {
  return Object.entries(replacements).reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`The documented code has no ${from}`);
    return text.replace(from, to);
  }, code);
}
