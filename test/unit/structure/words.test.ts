import { expect, test } from 'vitest';
import { listFiles, readText } from './source-graph.ts';
import { commentsOf, namesIn, nominalOpenings } from './words.ts';

/** Names and phrases that have been replaced, one a line, each as the code spelled it. */
const LIST = 'test/unit/structure/old-names.txt';
const OLD_NAMES = readText(LIST).split('\n').filter((line) => line !== '' && !line.startsWith('# '));

const ENDINGS = ['.ts', '.mjs', '.js', '.wgsl', '.md', '.html', '.css', '.json'];
const TEXTS = ['src', 'shaders', 'demo', 'test', 'docs']
  .flatMap((folder) => listFiles(folder, ...ENDINGS))
  .filter((file) => !/\/(results|goldens|fixtures|oracle)\/.*\.json$|\/LOG\.md$/.test(file));
const COMMENTED = ['src', 'shaders'].flatMap((folder) => listFiles(folder, '.ts', '.wgsl'));

test('no file has a name that has been replaced', () => {
  expect(OLD_NAMES.length).toBeGreaterThan(20);
  expect(TEXTS.length).toBeGreaterThan(400);
  const found = [...TEXTS, 'README.md'].flatMap((file) => [
    ...namesIn(readText(file), OLD_NAMES).map((name) => `${file}: ${name}`),
    ...namesIn(file, OLD_NAMES).map((name) => `${file} is called ${name}`),
  ]);
  expect(found).toEqual([]);
});

test('no sentence of a comment opens with what, who or whoever in the place of a noun', () => {
  expect(COMMENTED.length).toBeGreaterThan(200);
  const found = COMMENTED.flatMap((file) =>
    commentsOf(file, readText(file)).flatMap((comment) => nominalOpenings(comment).map((sentence) => `${file}:${comment.line}: ${sentence}`)));
  expect(found).toEqual([]);
});

test('a name counts as a whole word, in a longer name or path it does not', () => {
  const names = ['oldName', 'core/olds', 'bring(', 'so it goes'];
  expect(namesIn("import { oldName } from '../core/olds.ts'; model.bring(1); // so it goes", names)).toEqual(names);
  expect(namesIn('this.#oldName(); a.oldName', names)).toEqual(['oldName']);
  expect(namesIn('oldNameOf(); boldName; $oldName; in-oldName; core/olds-of; bring; so it goes-on; boldNames', names)).toEqual([]);
});

test('sentences of comments, in blocks, tags, lines and at the end of a line', () => {
  const typescript = [
    '/** What is late is compiled. Fine. */', 'const a = 1; // Who waits',
    '// One line. Who', '// waits for it.', '/**', ' * Fine.', ' *', ' * What follows.', ' * @param b Whoever asks', ' */',
    "const text = '// What is no comment';", '// What is this?', '/** Whatever it is, what is quoted: what goes on. Whose */',
  ].join('\n');
  const openings = (file: string, text: string): readonly string[] => commentsOf(file, text).flatMap(nominalOpenings);
  expect(openings('a.ts', typescript)).toEqual(['What is late is compiled.', 'Who waits', 'Who waits for it.', 'What follows.']);
  expect(openings('a.wgsl', '// Fine: 4.\n// What a lane has.\nlet a = 1u; // What it is\n')).toEqual(['What a lane has.', 'What it is']);
});
