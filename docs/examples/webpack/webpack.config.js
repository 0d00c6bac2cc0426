import { fileURLToPath } from 'node:url';

// Webpack finds the worker in tabserve and builds it as a file of its own: nothing is to be set for it.
export default {
  mode: 'production',
  entry: './main.js',
  output: { path: fileURLToPath(new URL('dist', import.meta.url)), filename: 'main.js', clean: true },
};
