import { SHARED_PARAMETERS } from './completion-request.ts';
import { type ParameterTable, SHARED_UNSUPPORTED } from './parameters.ts';

/** The parameters of a chat completion. */
export const CHAT_PARAMETERS: ParameterTable = {
  supported: ['messages', 'max_completion_tokens', 'max_tokens', ...SHARED_PARAMETERS],
  labels: ['user', 'safety_identifier', 'prompt_cache_key'],
  unsupported: {
    ...SHARED_UNSUPPORTED,
    // OpenAI
    audio: [],
    function_call: ['none'],
    functions: [[]],
    logprobs: [false],
    metadata: [{}],
    modalities: [['text']],
    moderation: [],
    parallel_tool_calls: [true, false], // of no tools
    prediction: [],
    prompt_cache_options: [],
    prompt_cache_retention: ['in_memory', 'in-memory'],
    reasoning_effort: [],
    service_tier: ['auto', 'default'],
    store: [false],
    tool_choice: ['none', 'auto'],
    tools: [[]],
    top_logprobs: [0],
    verbosity: ['medium'],
    web_search_options: [],
    // vLLM
    add_generation_prompt: [true],
    add_special_tokens: [false],
    chat_template: [],
    chat_template_kwargs: [{}],
    continue_final_message: [false],
    documents: [[]],
    echo: [false],
    include_reasoning: [true],
    mm_processor_kwargs: [],
    thinking_token_budget: [],
  },
};
