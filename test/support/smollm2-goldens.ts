import type { ChatMessage } from '../../src/core/protocol.ts';
import json from '../goldens/smollm2-135m-instruct.json?raw';

/** llama.cpp's answer to a chat with SmolLM2-135M-Instruct, greedily, on the F32 copy of its weights. */
export interface ChatGolden {
  readonly name: string;
  readonly messages: readonly ChatMessage[];
  readonly promptTokenIds: readonly number[];
  /** At most 64; the last is the stop token where `finishReason` is `stop`. */
  readonly greedyIds: readonly number[];
  readonly finishReason: 'stop' | 'length';
  /** Without the stop token; a code point that stayed incomplete is one U+FFFD. */
  readonly text: string;
  /** By how much the first logit leads the second, at each step. */
  readonly gaps: readonly number[];
  /** The 20 highest logits after the prompt, for some prompts. */
  readonly promptTopLogits?: readonly { readonly id: number; readonly logit: number }[];
}

/** A step whose first and second logits are so close that another implementation may part from the golden there. */
export interface CloseStep {
  /** The chat's name. */
  readonly prompt: string;
  /** Index into `greedyIds`. */
  readonly step: number;
  readonly gap: number;
  readonly first: number;
  readonly second: number;
}

/** Inlined by Vite, so that tests in a browser read it too. Made by test/oracle/smollm2-goldens.mjs. */
export const SMOLLM2_GOLDENS = JSON.parse(json) as {
  /** The file that they are of. */
  readonly model: { readonly file: string };
  readonly prompts: readonly ChatGolden[];
  readonly closeSteps: readonly CloseStep[];
};
