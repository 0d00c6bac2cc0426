// @ts-check

/**
 * Has a server listen on any free port of this machine.
 *
 * @param {import('node:http').Server} server
 * @returns {Promise<{ origin: string, close(): Promise<void> }>}
 */
export async function listenAnywhere(server) {
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    origin: `http://127.0.0.1:${address.port}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
