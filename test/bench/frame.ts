import { createClient } from '../../src/index.ts';
import { timeRequest, userSays } from './time-request.ts';
import { promptOf } from './workload.ts';

/** Streams until the frame is removed, and tells the page around it when text comes, or what went wrong. */
async function stream(): Promise<void> {
  const asked = new URLSearchParams(location.search);
  const client = await createClient({ model: asked.get('model') ?? '' });
  const messages = userSays(promptOf(Number(asked.get('seed')), 4));
  const onText = (): void => parent.postMessage('streaming', location.origin);
  const { error } = await timeRequest(client, { messages, salt: 'bench frame', onText });
  if (error !== undefined) throw new Error(error);
}

stream().catch((error: unknown) => parent.postMessage(String(error), location.origin));
