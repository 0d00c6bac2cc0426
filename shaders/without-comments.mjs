// @ts-check
import { readFile } from 'node:fs/promises';

/** WGSL without its comments; every line keeps its number. WGSL has no strings, in which `//` could be anything else.
 * @param {string} text */
export function withoutComments(text) {
  return text.replace(/[ \t]*\/\/.*/g, '');
}

/** For builds: `*.wgsl?raw` has no comments.
 * @returns {import('vite').Plugin} */
export function shadersWithoutComments() {
  return {
    name: 'tabserve:shaders-without-comments',
    apply: 'build',
    enforce: 'pre',
    load: {
      filter: { id: /\.wgsl\?raw$/ },
      handler: async (id) => `export default ${JSON.stringify(withoutComments(await readFile(id.slice(0, -'?raw'.length), 'utf8')))};`,
    },
  };
}
