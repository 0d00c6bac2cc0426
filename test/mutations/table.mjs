// @ts-check

/**
 * One small change of the sources that makes them wrong.
 * @typedef {object} Mutation
 * @property {string} area
 * @property {string} name what is wrong then
 * @property {string} file
 * @property {string} [anchor] for WGSL: the line that ends in the comment `// mutation: <anchor>` is the one that changes
 * @property {string} from occurs once in the file, or in the line of the anchor
 * @property {string} to
 * @property {string[]} tests files that can see it, the narrowest first
 * @property {string} [survives] why no test needs to see it
 */

/**
 * @typedef {object} Outcome
 * @property {Mutation} mutation
 * @property {boolean} isKilled
 * @property {string | undefined} killer the test file that turned red
 */

/** A file's text with the mutation. Throws where its anchor, or the text that it replaces, is not there, or there more than once.
 * @param {string} text
 * @param {Mutation} mutation */
export function mutate(text, { name, file, anchor, from, to }) {
  const [start, end] = anchor === undefined ? [0, text.length] : anchoredLine(text, anchor, file);
  const count = text.slice(start, end).split(from).length - 1;
  if (count !== 1) throw new Error(`${name}: ${file} has its text ${count} times`);
  const at = text.indexOf(from, start);
  return text.slice(0, at) + to + text.slice(at + from.length);
}

/** The names of a file's anchors.
 * @param {string} text */
export function anchorsIn(text) {
  return Array.from(text.matchAll(ANCHOR), ([, anchor]) => anchor ?? '');
}

const ANCHOR = /^.*\/\/ mutation: (.*)$/gm;

/** Where the line with an anchor begins and ends.
 * @param {string} text
 * @param {string} anchor
 * @param {string} file
 * @returns {[number, number]} */
function anchoredLine(text, anchor, file) {
  const [found, ...others] = [...text.matchAll(ANCHOR)].filter((match) => match[1] === anchor);
  if (found === undefined || others.length > 0) throw new Error(`${file} has the anchor ${anchor} ${found ? others.length + 1 : 0} times`);
  return [found.index, found.index + found[0].length];
}

/** @param {readonly Outcome[]} outcomes */
export function resultsTable(outcomes) {
  const killed = outcomes.filter(({ isKilled }) => isKilled).length;
  const rows = outcomes.map(({ mutation: { area, name, file, survives }, killer }) => {
    const seen = killer === undefined ? `no test: ${survives ?? 'a test is missing'}` : `\`${killer.replace(/^test\//, '')}\``;
    return `| ${area} | ${name} | \`${file}\` | ${seen} |`;
  });
  return `# Mutations

Written by \`npm run test:mutations\`: ${killed} of ${outcomes.length} turned a test red, each applied alone.

| area | what is wrong then | in | seen by |
|---|---|---|---|
${rows.join('\n')}
`;
}
