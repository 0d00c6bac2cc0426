// llama.cpp through node-llama-cpp, on the CPU: logits and greedy continuations with F32 KV and no flash attention.
import { getLlama, LlamaLogLevel } from 'node-llama-cpp';

const llama = await getLlama({ gpu: false, build: 'never', logLevel: LlamaLogLevel.error, maxThreads: 2 });

const release = llama.llamaCppRelease.release;
/** Recorded in every golden. */
export const ORACLE = `node-llama-cpp 3.22.1, llama.cpp ${release}, CPU, F32 KV, no flash attention`;

export async function openOracle(modelPath, { contextSize = 1024 } = {}) {
  const model = await llama.loadModel({ modelPath });
  const context = await model.createContext({
    contextSize,
    batchSize: contextSize,
    sequences: 1,
    flashAttention: false,
    experimentalKvCacheKeyType: 'F32',
    experimentalKvCacheValueType: 'F32',
  });
  const sequence = context.getSequence();
  const vocabSize = model.fileInfo.metadata.tokenizer.ggml.tokens.length;
  // At temperature 0 no sampler touches the candidates' logits.
  const withLogits = { generateNext: { logits: true, options: { temperature: 0 } } };
  const toArray = (map) => {
    const logits = new Float32Array(vocabSize).fill(NaN);
    for (const [id, logit] of map) logits[id] = logit;
    if (logits.some(Number.isNaN)) throw new Error('the oracle left logits out');
    return logits;
  };

  /** The logits after each of the tokens, or after the last one only. */
  async function evaluate(tokens, { onlyLast = false } = {}) {
    const last = tokens.length - 1;
    const results = await sequence.controlledEvaluate(
      tokens.map((t, i) => (onlyLast && i < last ? t : [t, withLogits])),
    );
    return (onlyLast ? results.slice(-1) : results).map((result) => toArray(result.next.logits));
  }

  return {
    vocabSize,
    tokenizeText: (text) => [...model.tokenize(text, false)],
    detokenize: (ids) => model.detokenize(ids, false),
    async logitsOfEveryPosition(tokens) {
      await sequence.clearHistory();
      return evaluate(tokens);
    },
    /**
     * Up to `count` greedy ids after the prompt, a stop token being the last. `gaps`: at each step, by how much the
     * first logit leads the second; `seconds`: the id of the second; `promptLogits`: at the prompt's last position.
     */
    async greedy(prompt, count, stopTokenIds = []) {
      await sequence.clearHistory();
      const ids = [];
      const seconds = [];
      const gaps = [];
      let promptLogits;
      for (let feed = prompt; ids.length < count && !stopTokenIds.includes(ids.at(-1)); feed = [ids.at(-1)]) {
        const [logits] = await evaluate(feed, { onlyLast: true });
        promptLogits ??= logits;
        const [first, second] = topIds(logits, 2);
        ids.push(first);
        seconds.push(second);
        gaps.push(logits[first] - logits[second]);
      }
      return { ids, seconds, gaps, promptLogits };
    },
    async dispose() {
      await context.dispose();
      await model.dispose();
    },
  };
}

/** The ids of the `count` highest logits, highest first. */
export function topIds(logits, count) {
  return [...logits.keys()].sort((a, b) => logits[b] - logits[a]).slice(0, count);
}
