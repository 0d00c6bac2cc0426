/**
 * Lets everything that waits in the event loop run first: other tabs' messages, the GPU's answers. (Awaiting a resolved
 * promise stays within the same turn of the loop, and `scheduler.yield` resumes before others.)
 */
export function yieldToEventLoop(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}
