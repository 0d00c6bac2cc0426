import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { sendFile } from '../../demo/server/send-file.mjs';

/** A folder on a plain static server, as any host would have it: no header but those of the files' types. */
export interface StaticSite {
  readonly origin: string;
  /** Method and path of each request, in order: Playwright does not see a worker's. */
  readonly log: string[];
  close(): Promise<void>;
}

/** @param prepare called before each answer, for sites that are not quite plain; `true` leaves the answer to it */
export async function serveFolder(
  folder: string,
  prepare: (response: ServerResponse, path: string) => unknown = () => undefined,
): Promise<StaticSite> {
  const log: string[] = [];
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '', 'http://x').pathname;
    log.push(`${request.method} ${path}`);
    if (prepare(response, path) !== true && !response.headersSent) sendFile(request, response, folder, path);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    log,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
