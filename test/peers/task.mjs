// @ts-check
import { readFileSync } from 'node:fs';
import { readGgufHeader } from '../oracle/gguf-file.mjs';
import { importTypeScript } from '../oracle/typescript.mjs';

/**
 * @typedef {import('./peer.ts').PeerTask} PeerTask
 * @typedef {{ ids: readonly number[], texts: readonly string[] }} Expected greedy ids, and the text of the first 1, 2, ... of them
 */

const GOLDENS = new URL('../goldens/smollm2-135m-instruct.json', import.meta.url);

/** The first of everything is over after it: a short one. */
const WARM_UP = { name: 'capital', maxTokens: 2 };

/**
 * One of the golden chats as a task, what llama.cpp answers to it, and another to begin with.
 *
 * @param {string} modelPath
 * @param {string} name the chat's
 * @param {number} maxTokens
 * @returns {Promise<{ task: PeerTask, expected: Expected, warmUp: PeerTask }>}
 */
export async function readTask(modelPath, name, maxTokens) {
  /** @type {{ prompts: import('../support/smollm2-goldens.ts').ChatGolden[] }} */
  const { prompts } = JSON.parse(readFileSync(GOLDENS, 'utf8'));
  const long = prompts.filter(({ finishReason, greedyIds }) => finishReason === 'length' && greedyIds.length >= maxTokens);
  const golden = long.find((prompt) => prompt.name === name);
  const first = prompts.find((prompt) => prompt.name === WARM_UP.name);
  if (golden === undefined || first === undefined) {
    throw new Error(`--prompt ${name}: chats whose answers are long enough are ${long.map((prompt) => prompt.name).join(', ')}.`);
  }
  const { plain } = await readGgufHeader(modelPath);
  const metadata = /** @type {Record<string, unknown>} */ (/** @type {unknown} */ (plain));
  const { createTokenizer } = await importTypeScript('src/tokenizer/tokenizer.ts');
  const { createChatTemplate } = await importTypeScript('src/tokenizer/chat-template.ts');
  const render = createChatTemplate(metadata['tokenizer.chat_template'], { bos: '', eos: '' });
  const ids = golden.greedyIds.slice(0, maxTokens);
  return {
    task: taskOf(golden, maxTokens, render),
    expected: { ids, texts: textsOf(createTokenizer(metadata), ids) },
    warmUp: taskOf(first, WARM_UP.maxTokens, render),
  };
}

/**
 * @param {import('../support/smollm2-goldens.ts').ChatGolden} golden
 * @param {number} maxTokens
 * @param {import('../../src/tokenizer/chat-template.ts').ChatTemplate} render
 * @returns {PeerTask}
 */
function taskOf({ name, messages, promptTokenIds }, maxTokens, render) {
  return { name, messages, promptText: render(messages).map(({ text }) => text).join(''), promptTokenIds, maxTokens };
}

/** @param {import('../../src/tokenizer/tokenizer.ts').Tokenizer} tokenizer
 * @param {readonly number[]} ids */
function textsOf(tokenizer, ids) {
  const detokenizer = tokenizer.createDetokenizer();
  let text = '';
  return ids.map((id) => (text += detokenizer.decode(id)));
}

/**
 * How many of the expected tokens an answer begins with: by ids where the engine tells them, else by text.
 *
 * @param {Pick<import('./peer.ts').PeerTiming, 'text' | 'tokenIds'>} answer
 * @param {Expected} expected
 */
export function leadingAgreement({ text, tokenIds }, { ids, texts }) {
  const parted =
    tokenIds === undefined
      ? texts.findIndex((expected) => !text.startsWith(expected))
      : ids.findIndex((id, i) => id !== tokenIds[i]);
  return parted === -1 ? ids.length : parted;
}

/**
 * What is wrong with an answer beyond another engine's arithmetic; undefined: nothing.
 *
 * @param {import('./peer.ts').PeerTiming} answer
 * @param {PeerTask} task
 */
export function faultOf({ promptTokens, outputTokens, lastMs, ttftMs }, { promptTokenIds, maxTokens }) {
  if (promptTokens !== promptTokenIds.length) return `it read ${promptTokens} prompt tokens, not ${promptTokenIds.length}`;
  if (outputTokens !== maxTokens) return `it gave ${outputTokens} tokens, not the ${maxTokens} asked for`;
  if (!(lastMs > ttftMs)) return 'all its tokens came at once';
  return undefined;
}
