import { TabserveError } from '../core/errors.ts';
import type { ModelInfo } from '../core/protocol.ts';
import type { LogitsParams } from '../core/request.ts';

/** @throws TabserveError `invalid_request` where a logit_bias names a token that the model does not have. */
export function checkLogitBias(params: LogitsParams | undefined, { vocabSize }: ModelInfo): void {
  const unknown = params?.logitBias?.find(([tokenId]) => tokenId >= vocabSize)?.[0];
  if (unknown === undefined) return;
  const message = `"logit_bias" names token ${unknown}; the model has tokens 0 to ${vocabSize - 1}.`;
  throw new TabserveError('invalid_request', message, { param: 'logit_bias' });
}
