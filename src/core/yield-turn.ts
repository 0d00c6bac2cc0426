/**
 * Lets all that waits in the event loop have its turn first: other tabs' messages, the GPU's answers. (Awaiting what is
 * there already goes on within the same turn, and `scheduler.yield` goes on before others.)
 */
export function yieldTurn(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}
