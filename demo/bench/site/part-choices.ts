import type { PagePart } from '../page-parts.ts';
import type { PartChoice } from './benchmark-run.ts';

/** What a visitor may measure, in the order in which it is. What breaks things on purpose is left to the command line. */
export const PART_CHOICES: readonly (PartChoice & { readonly name: PagePart })[] = [
  { name: 'models', title: 'Decode and prefill', what: 'Tokens a second by context and batch, with the share of what the GPU could do at best' },
  { name: 'ttft', title: 'Time to first token', what: 'A short chat, through everything that an app goes through' },
  { name: 'busy', title: 'First token beside others', what: 'The same, while other sessions are being answered' },
  { name: 'load', title: 'Under load', what: 'Requests that arrive at random and share the GPU' },
  { name: 'stall', title: 'A long prompt arrives', what: 'What streams notice of another one’s long prompt' },
  { name: 'prefix', title: 'A shared system prompt', what: 'How much sooner the second session is answered' },
];
