import defaultModel from '../../default-model.json' with { type: 'json' };
import type { LoadedRunner } from '../../../src/runner/load-runner.ts';
import { ModelRuns } from './model-runs.ts';

/**
 * A chat with the default model that is short, and where llama.cpp itself is never near a tie: the beginning of what it
 * answers, greedily. A test holds it against test/goldens.
 */
export const GOLDEN = {
  name: 'system-message',
  promptTokenIds: [
    1, 9690, 198, 2683, 359, 253, 30820, 30, 19842, 281, 582, 1890, 6330, 30, 2, 198, 1, 4093, 198, 10576, 359, 346, 47,
    2, 198, 1, 520, 9531, 198,
  ],
  answer: [49, 6602, 28, 549, 1462, 325, 13756, 4290, 1425, 477, 28, 260, 6250, 30820, 288, 2042],
};

/** Whether llama.cpp's answers of this file are known. */
export function hasGoldens(modelUrl: string): boolean {
  return decodeURIComponent(new URL(modelUrl).pathname.split('/').at(-1) ?? '') === defaultModel.file;
}

/** Decodes the beginning of the golden answer greedily. @throws Error where it is another */
export async function checkGolden(loaded: LoadedRunner, when: string): Promise<void> {
  const { name, promptTokenIds, answer } = GOLDEN;
  const runs = new ModelRuns(loaded, 1, promptTokenIds.length + answer.length);
  const ids = await runs.answer(promptTokenIds, answer.length);
  if (ids.every((id, i) => id === answer[i])) return;
  throw new Error(`${when}, the answer to ${name} is ${ids.join(' ')}; llama.cpp says ${answer.join(' ')}`);
}
