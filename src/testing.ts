import type { Client } from './client/client.ts';
import { SESSION } from './client/session-key.ts';
import type { Fault } from './core/protocol.ts';

export type { Fault } from './core/protocol.ts';

/**
 * Breaks the engine on purpose, for tests and demonstrations of failover: every answer under way, of every tab, goes on with
 * the text that it would have had. Resolves when the engine has been told to break.
 *
 * @param client `device_lost` destroys the device of its model; `worker_died` ends the worker that runs the engine, with all models
 * @throws TabserveError `closed`, `device_lost`
 */
export async function injectFault(client: Client, fault: Fault): Promise<void> {
  const connection = await client[SESSION].connection();
  try {
    await connection.call((host) => host.injectFault(fault));
  } catch (error) {
    if (!connection.closed.aborted) throw error; // else the worker died, as it was told to
  }
}
