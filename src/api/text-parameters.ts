import { SHARED_PARAMETERS } from './completion-request.ts';
import { type ParameterTable, SHARED_UNSUPPORTED } from './parameters.ts';

/** The parameters of a text completion. */
export const TEXT_PARAMETERS: ParameterTable = {
  supported: ['prompt', 'max_tokens', 'echo', 'best_of', ...SHARED_PARAMETERS],
  labels: ['user'],
  unsupported: {
    ...SHARED_UNSUPPORTED,
    // OpenAI
    logprobs: [], // 0 asks for those of the tokens that are generated
    suffix: [],
    // vLLM
    add_special_tokens: [true],
    prompt_embeds: [],
  },
};
