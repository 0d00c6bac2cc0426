// @ts-check

/** @typedef {{ of: 'page' | 'engine', bytes: number }} HeapUsage `usedSize + backingStorageSize`, after a collection */

/**
 * Gives a page the function `heapUsage()`, which tells it its own JavaScript heap and that of its origin's SharedWorker:
 * by the DevTools protocol, since a page may not look into a SharedWorker.
 *
 * @param {import('playwright').Page} page
 */
export async function exposeHeapUsage(page) {
  await page.exposeFunction('heapUsage', async () => {
    const own = await page.context().newCDPSession(page);
    const all = await page.context().browser()?.newBrowserCDPSession();
    if (all === undefined) throw new Error('the page has no browser');
    try {
      const { origin } = new URL(page.url());
      return [
        { of: 'page', bytes: await heapBytes((method) => own.send(method)) },
        ...(await engineHeaps(all, origin)),
      ];
    } finally {
      await own.detach();
      await all.detach();
    }
  });
}

/** @param {import('playwright').CDPSession} session a browser's
 * @param {string} origin
 * @returns {Promise<HeapUsage[]>} */
async function engineHeaps(session, origin) {
  const { targetInfos } = await session.send('Target.getTargets');
  const workers = targetInfos.filter(({ type, url }) => type === 'shared_worker' && url.startsWith(`${origin}/`));
  return Promise.all(
    workers.map(async ({ targetId }) => {
      const { call, detach } = await attachToWorker(session, targetId);
      const bytes = await heapBytes(call);
      await detach();
      return /** @type {HeapUsage} */ ({ of: 'engine', bytes });
    }),
  );
}

/**
 * A session of a worker within a browser's: its messages are wrapped, since Playwright knows no SharedWorkers.
 *
 * @param {import('playwright').CDPSession} session
 * @param {string} targetId
 */
export async function attachToWorker(session, targetId) {
  const { sessionId } = await session.send('Target.attachToTarget', { targetId });
  let lastId = 0;
  /** @type {(method: string, params?: object) => Promise<any>} */
  const call = async (method, params = {}) => {
    const id = ++lastId;
    const answered = new Promise((resolve, reject) => {
      const listen = (/** @type {{ sessionId: string, message: string }} */ event) => {
        const answer = JSON.parse(event.message);
        if (event.sessionId !== sessionId || answer.id !== id) return;
        session.off('Target.receivedMessageFromTarget', listen);
        if (answer.error === undefined) resolve(answer.result);
        else reject(new Error(`${method}: ${answer.error.message}`));
      };
      session.on('Target.receivedMessageFromTarget', listen);
    });
    await session.send('Target.sendMessageToTarget', { sessionId, message: JSON.stringify({ id, method, params }) });
    return answered;
  };
  return { call, detach: () => session.send('Target.detachFromTarget', { sessionId }) };
}

/** @param {(method: 'HeapProfiler.collectGarbage' | 'Runtime.getHeapUsage') => Promise<any>} call
 * @returns {Promise<number>} */
async function heapBytes(call) {
  await call('HeapProfiler.collectGarbage');
  const { usedSize, backingStorageSize } = await call('Runtime.getHeapUsage');
  return usedSize + backingStorageSize;
}
