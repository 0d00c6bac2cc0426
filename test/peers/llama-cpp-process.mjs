// llama.cpp through node-llama-cpp, which test/oracle installs, on the CPU; llama-cpp.mjs starts it.
import { readFileSync } from 'node:fs';

const PACKAGE = new URL('../oracle/node_modules/node-llama-cpp/', import.meta.url);
const { getLlama, LlamaLogLevel } = await import(new URL('dist/index.js', PACKAGE));

let context;
let detokenize;

const METHODS = {
  async load({ modelPath, threads, maxRequests, maxTokensEach }) {
    const start = performance.now();
    const llama = await getLlama({ gpu: false, build: 'never', logLevel: LlamaLogLevel.error, maxThreads: threads });
    const model = await llama.loadModel({ modelPath });
    const settings = { contextSize: maxTokensEach, sequences: maxRequests, threads };
    context = await model.createContext(settings);
    detokenize = (ids) => model.detokenize(ids, false);
    const { version } = JSON.parse(readFileSync(new URL('package.json', PACKAGE), 'utf8'));
    const subject = {
      version: `${llama.llamaCppRelease.release} (node-llama-cpp ${version})`,
      device: `CPU, ${context.currentThreads} threads`,
      settings: { gpu: false, ...settings },
    };
    return { subject, loadMs: performance.now() - start };
  },
  async ask({ task, count }) {
    const sequences = Array.from({ length: count }, () => context.getSequence());
    const start = performance.now();
    const answers = await Promise.all(sequences.map((sequence) => answer(sequence, task)));
    const wallMs = performance.now() - start;
    for (const sequence of sequences) sequence.dispose();
    return { wallMs, answers };
  },
};

/** Greedy, from an empty cache, and past any token that would end it. */
async function answer(sequence, { promptTokenIds, maxTokens }) {
  const start = performance.now();
  let ttftMs;
  const tokenIds = [];
  for await (const id of sequence.evaluate(promptTokenIds, { temperature: 0, yieldEogToken: true })) {
    ttftMs ??= performance.now() - start;
    tokenIds.push(id);
    if (tokenIds.length === maxTokens) break;
  }
  const lastMs = performance.now() - start;
  const counts = { promptTokens: promptTokenIds.length, outputTokens: tokenIds.length };
  return { ttftMs, lastMs, ...counts, text: detokenize(tokenIds), tokenIds };
}

process.on('message', ({ method, argument }) => {
  METHODS[method](argument).then(
    (result) => process.send({ result }),
    (error) => process.send({ error: String(error) }),
  );
});
process.on('disconnect', () => process.exit());
