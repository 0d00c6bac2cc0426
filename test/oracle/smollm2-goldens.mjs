// Records what llama.cpp answers to PROMPTS on the F32 copy of SmolLM2-135M-Instruct.Q4_1.gguf.
//   node test/oracle/smollm2-goldens.mjs MODEL.gguf F32-COPY.gguf
import fs from 'node:fs';
import crypto from 'node:crypto';
import { Template } from '@huggingface/jinja';
import { readGgufHeader } from './gguf-file.mjs';
import { openOracle, ORACLE, topIds } from './llama.mjs';
import { PROMPTS } from './prompts.mjs';

const MAX_TOKENS = 64;
const CLOSE = 0.02;
const CONTROL = { '<|endoftext|>': 0, '<|im_start|>': 1, '<|im_end|>': 2 };
const DEFAULT_SYSTEM = 'You are a helpful AI assistant named SmolLM, trained by Hugging Face';

const [modelFile, copyFile] = process.argv.slice(2);
const { plain } = await readGgufHeader(modelFile);
const template = new Template(plain['tokenizer.chat_template']);
const oracle = await openOracle(copyFile);

/** ChatML as pieces: control tokens, and text in which nothing is a control token. */
function chatMl(messages) {
  const all = messages[0].role === 'system' ? messages : [{ role: 'system', content: DEFAULT_SYSTEM }, ...messages];
  const pieces = all.flatMap(({ role, content }) => [
    { control: '<|im_start|>' },
    `${role}\n${content}`,
    { control: '<|im_end|>' },
    '\n',
  ]);
  return [...pieces, { control: '<|im_start|>' }, 'assistant\n'];
}

function tokenizeChat(messages) {
  const pieces = chatMl(messages);
  const text = pieces.map((piece) => piece.control ?? piece).join('');
  if (text !== template.render({ messages, add_generation_prompt: true }))
    throw new Error('not what the template gives');
  return pieces.flatMap((piece) =>
    piece.control === undefined ? oracle.tokenizeText(piece) : [CONTROL[piece.control]],
  );
}

const round = (digits) => (value) => Number(value.toFixed(digits));
const prompts = [];
const closeSteps = [];
for (const { name, messages, topLogits } of PROMPTS) {
  const promptTokenIds = tokenizeChat(messages);
  const { ids, seconds, gaps, promptLogits } = await oracle.greedy(promptTokenIds, MAX_TOKENS, [0, 2]);
  const stopped = ids.at(-1) === 0 || ids.at(-1) === 2;
  const text = oracle.detokenize(stopped ? ids.slice(0, -1) : ids);
  const top = topIds(promptLogits, 20).map((id) => ({ id, logit: round(5)(promptLogits[id]) }));
  prompts.push({
    name,
    messages,
    promptTokenIds,
    greedyIds: ids,
    finishReason: stopped ? 'stop' : 'length',
    text,
    gaps: gaps.map(round(4)),
    ...(topLogits ? { promptTopLogits: top } : {}),
  });
  gaps.forEach((gap, step) => {
    if (gap < CLOSE)
      closeSteps.push({ prompt: name, step, gap: round(5)(gap), first: ids[step], second: seconds[step] });
  });
  console.log(
    `${name}: ${promptTokenIds.length} tokens, smallest gap ${Math.min(...gaps).toFixed(4)}: ${JSON.stringify(text)}`,
  );
}

const sha256 = crypto.createHash('sha256').update(fs.readFileSync(modelFile)).digest('hex');
const golden = {
  madeBy:
    'node test/oracle/dequantise.mjs MODEL.gguf COPY.gguf && node test/oracle/smollm2-goldens.mjs MODEL.gguf COPY.gguf',
  oracle: ORACLE,
  model: { file: 'SmolLM2-135M-Instruct.Q4_1.gguf', sha256, weights: 'dequantised to F32' },
  notes:
    'greedyIds ends with the stop token where finishReason is stop; text leaves it out. ' +
    'gaps: first minus second logit at each step.',
  closeSteps,
  prompts,
};
// One line for each array of numbers.
const json = JSON.stringify(golden, null, 2).replace(/\[[\s\d.,-]+\]/g, (array) => array.replace(/\s+/g, ''));
fs.writeFileSync(new URL('../goldens/smollm2-135m-instruct.json', import.meta.url), `${json}\n`);
await oracle.dispose();
process.exit(0);
