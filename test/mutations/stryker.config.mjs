// @ts-check
import { fileURLToPath } from 'node:url';

/** The parts of src that need neither a GPU nor a browser. */
const PURE = ['api', 'core', 'formats', 'quant', 'scheduler', 'tokenizer'];

export default {
  mutate: PURE.map((folder) => `src/${folder}/**/*.ts`),
  mutator: { excludedMutations: ['StringLiteral'] }, // most are texts of errors, whose codes are tested
  testRunner: 'vitest',
  plugins: [fileURLToPath(import.meta.resolve('@stryker-mutator/vitest-runner'))],
  vitest: { configFile: 'test/mutations/vitest.config.ts' },
  ignoreStatic: true,
  coverageAnalysis: 'perTest',
  tsconfigFile: 'none', // Stryker would rewrite it, for which TypeScript 7 has no API
  concurrency: 2,
  reporters: ['clear-text', 'progress', 'json', 'html'],
  clearTextReporter: { allowColor: false, reportTests: false },
  jsonReporter: { fileName: 'test/.results/stryker/report.json' },
  htmlReporter: { fileName: 'test/.results/stryker/report.html' },
  tempDirName: 'test/.results/stryker/tmp',
  ignorePatterns: ['.models', 'dist', 'demo/dist', 'test/.results', 'test/bench/results'],
};
