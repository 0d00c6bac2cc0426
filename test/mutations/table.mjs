// @ts-check

/**
 * One small change of the sources that makes them wrong.
 * @typedef {object} Mutation
 * @property {string} area
 * @property {string} name what is wrong then
 * @property {string} file
 * @property {string} from occurs once in the file
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

/** A file's text with the mutation. Throws where the text that it replaces is not there, or there more than once.
 * @param {string} text
 * @param {Mutation} mutation */
export function mutate(text, { name, file, from, to }) {
  const count = text.split(from).length - 1;
  if (count !== 1) throw new Error(`${name}: ${file} has its text ${count} times`);
  return text.replace(from, () => to);
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
