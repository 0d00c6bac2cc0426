/** Loads the test's file inside a SharedWorker, and says how many bytes the network and the reader saw. */
import { openSource } from '../../src/download/open-source.ts';
import { MODEL_URL, rangedFetch } from './loader-ranged-fetch.ts';

addEventListener('connect', (event) => {
  const [port] = (event as MessageEvent).ports;
  void load().then(
    (result) => port?.postMessage(result),
    (error: unknown) => port?.postMessage({ error: String(error) }),
  );
});

async function load(): Promise<unknown> {
  const server = rangedFetch();
  const lines: string[] = [];
  const source = await openSource(MODEL_URL, {
    baseUrl: location.href,
    onProgress: () => {},
    log: (_level, message) => lines.push(message),
    http: { fetch: server.fetch },
  });
  let bytesRead = 0;
  for (let at = 0; at < source.size; at += 1_000_000) {
    bytesRead += (await source.read(at, Math.min(1_000_000, source.size - at))).length;
  }
  return { bytesRead, bytesSent: server.bytesSent, lines };
}
