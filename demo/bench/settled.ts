import type { Client, EngineMetrics } from '../../src/index.ts';

/** Waits for what a load compiles and tunes when the engine is idle: that is a load's business, not an answer's. */
export async function settled(client: Client): Promise<void> {
  while (isUnderWay(await client.metrics())) await new Promise((resolve) => setTimeout(resolve, 20));
}

function isUnderWay({ tuning, kernelsToCompile }: EngineMetrics): boolean {
  return kernelsToCompile > 0 || tuning?.state === 'tuning' || tuning?.state === 'idle';
}
