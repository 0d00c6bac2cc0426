import type { LoadedRunner } from '../../../src/runner/load-runner.ts';
import { blocksFor, generate, TestSequence } from '../../support/gpu-runner.ts';
import { SMOLLM2_GOLDENS } from '../../support/smollm2-goldens.ts';

/** A chat that is short, and where llama.cpp itself is never near a tie. */
const CHAT = 'system-message';
const TOKENS = 16;

/** Whether llama.cpp's answers of this file are known. */
export function hasGoldens(modelUrl: string): boolean {
  return decodeURIComponent(new URL(modelUrl).pathname.split('/').at(-1) ?? '') === SMOLLM2_GOLDENS.model.file;
}

/** Decodes the beginning of a golden answer greedily. @throws Error where it is another */
export async function checkGolden(loaded: LoadedRunner, when: string): Promise<void> {
  const golden = SMOLLM2_GOLDENS.prompts.find(({ name }) => name === CHAT);
  if (golden === undefined) throw new Error(`there is no golden chat ${CHAT}`);
  const { promptTokenIds: tokenIds, greedyIds } = golden;
  const blockTable = blocksFor({ ...loaded.scheduler, maxNumSeqs: 1 }, 0, tokenIds.length + TOKENS);
  const ids = await generate(loaded, new TestSequence({ tokenIds, blockTable }), TOKENS);
  const expected = greedyIds.slice(0, TOKENS);
  if (ids.every((id, i) => id === expected[i])) return;
  throw new Error(`${when}, the answer to ${CHAT} is ${ids.join(' ')}; llama.cpp says ${expected.join(' ')}`);
}
