// @ts-check
/**
 * `npm run bench`: how fast the default model runs here, in Chromium. What each figure means: README.md beside this file.
 *
 *     npm run bench                         everything, the medians of several runs
 *     npm run bench -- --quick              less of it, once
 *     npm run bench -- --only load,prefix   parts of it: PARTS
 *     npm run bench -- --repeat N           all of that N times, each in a page of its own; all samples count
 *     npm run bench -- --rate R             load: R arrivals a second for each request that may run at once, instead of
 *                                           as many as one that is alone could answer
 *     npm run bench -- --shapes 135m,1b     models: which models of random weights (135m, 0.6b, 1b, 8b), instead of
 *                                           what suits the adapter
 *     npm run bench -- --json FILE          the results, for a machine to read (results.schema.json), after each part
 *     npm run bench -- --resume FILE        goes on with a run that was interrupted: what is in FILE stays, the rest is
 *                                           measured. Ctrl-C prints what there is; a second one leaves at once
 *     npm run bench -- --adapter NAME       `hardware`, `swiftshader` or another that Chromium's
 *                                           --use-webgpu-adapter knows; by default hardware where there is some
 *     npm run bench -- --channel NAME       an installed browser of Playwright's channels: chrome, chrome-beta, msedge, ...
 *     npm run bench -- --headed             in a window
 *     npm run bench -- --model FILE.gguf    another model
 *
 *     npm run bench -- --compare A B        what two runs' results say of each other; 1 where B is slower. With
 *         --threshold 5                     by more than so many percent
 *         --anyway                          of different adapters, models or browsers, too
 *     npm run bench -- --plot FILE --out D  pictures of a run's results in folder D, as SVG for light and dark pages
 *
 *     npm run bench -- --dawn=ADAPTER       kernels and models in Node, on Dawn, instead: `native` (the system's GPU),
 *                                           `lavapipe` or `swiftshader`; ten minutes at most on a GPU. With
 *         --quick                           less of it
 *         --only limits,matmul              parts: limits, matmul, attention, decode, prefill, batch, synthetic
 *         --shapes 135m,1b,8b               which models of random weights; by default what suits the adapter
 *         --patience 2                      twice the time for each part
 *         --json FILE.jsonl                 each row at once, one JSON object a line; the results in FILE.json at the end
 *         --model FILE.gguf
 *
 *     npm run bench -- --pack FOLDER        packs a run of eight minutes, Node and Dawn included, for a Linux machine with a
 *                                           GPU and nothing else: there "sh FOLDER/run.sh". With
 *         --rehearse                        runs it here at once, in tiny, on SwiftShader in an empty environment
 *
 * Figures of a run that is not clean (the last line says so) are no measure of tabserve.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { formatResults } from './format.mjs';
import { readOptions } from './options.mjs';
import { PARTS } from './parts.mjs';

/** A signal that comes twice within it was given once. */
const SAME_SIGNAL_MS = 1000;

const args = process.argv.slice(2);
const dawn = args.find((arg) => arg.startsWith('--dawn'));
if (args.includes('--help')) console.log(helpText());
else if (args[0] === '--pack') process.exitCode = await pack(args.slice(1));
else if (dawn !== undefined) process.exitCode = await onDawn(dawn);
else process.exitCode = await dispatch(readOptions(args));

/** The comment that this file begins with. */
function helpText() {
  const [, comment = ''] = readFileSync(fileURLToPath(import.meta.url), 'utf8').split(/\/\*\*\n|\n \*\//);
  return comment.replace(/^ \* ?/gm, '').replace('PARTS', PARTS.join(', '));
}

/** @param {readonly string[]} args after `--pack` */
async function pack([folder, ...others]) {
  const isRehearsed = others[0] === '--rehearse';
  if (folder === undefined || folder.startsWith('--') || others.length > (isRehearsed ? 1 : 0)) throw new Error('It is --pack FOLDER [--rehearse].');
  const { packRun } = await import('./gpu-run/pack.mjs');
  console.log(`${folder}: ${((await packRun(folder)) / 2 ** 20).toFixed(1)} MiB. On a machine with a GPU: sh ${folder}/run.sh`);
  if (!isRehearsed) return 0;
  const { rehearse } = await import('./gpu-run/rehearse.mjs');
  return rehearse(folder);
}

/** @param {string} dawn the option that asks for it */
async function onDawn(dawn) {
  const { runDawnBench } = await import('./dawn/start.mjs');
  return runDawnBench(dawn.split('=')[1] ?? 'native', args.filter((arg) => arg !== dawn));
}

/** @param {import('./options.mjs').Options} options */
async function dispatch(options) {
  if (options.compare) return compareFiles(options);
  if (options.plot) return plotFile(options);
  return inChromium(options);
}

/** @param {import('./options.mjs').Options} options */
async function compareFiles({ files, threshold, anyway }) {
  const { readResults } = await import('./results.mjs');
  const { compareResults, differencesOf, formatComparison } = await import('./compare.mjs');
  const [a, b] = files.map(readResults);
  if (a === undefined || b === undefined) throw new Error('--compare takes two files.');
  const differences = differencesOf(a, b);
  if (differences.length > 0 && !anyway) {
    console.error(`These runs do not compare (--anyway compares them): ${differences.join('; ')}.`);
    return 2;
  }
  const comparison = compareResults(a, b, threshold);
  console.log(formatComparison(a, b, comparison, threshold));
  return comparison.isSlower ? 1 : 0;
}

/** @param {import('./options.mjs').Options} options */
async function plotFile({ files: [file = ''], out = '' }) {
  const { readResults } = await import('./results.mjs');
  const { writePlots } = await import('./plot.mjs');
  for (const line of await writePlots(readResults(file), out)) console.log(line);
  return 0;
}

/** @param {import('./options.mjs').Options} options */
async function inChromium(options) {
  const { runBench } = await import('./run-bench.mjs');
  const stop = new AbortController();
  let stoppedAt = Infinity;
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) {
    process.on(signal, () => {
      // npm passes on the signal that a terminal gives to both.
      if (performance.now() - stoppedAt > SAME_SIGNAL_MS) process.exit(130);
      if (stop.signal.aborted) return;
      console.error('Ending; once more to leave at once.');
      stoppedAt = performance.now();
      stop.abort();
    });
  }
  const results = await runBench(options, ['npm run bench', ...(args.length === 0 ? [] : ['--', ...args])].join(' '), stop.signal);
  console.log(`\n${formatResults(results)}`);
  if (options.json !== undefined) {
    const { writeResults } = await import('./results.mjs');
    writeResults(options.json, results);
  }
  if (stop.signal.aborted) return 130;
  return options.parts.every((part) => (results.parts[part]?.repetitions ?? 0) >= options.repeat) ? 0 : 1;
}
