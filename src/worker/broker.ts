import { holdLock, watchLock } from '../core/locks.ts';
import type { FromBroker, ToBroker } from '../core/rendezvous.ts';

interface Owner {
  readonly port: MessagePort;
  readonly lockName: string;
}

interface Knock {
  readonly tab: MessagePort;
  readonly id: string;
  readonly link: MessagePort;
}

/**
 * Makes this SharedWorker a broker: it has no GPU and no model, and only hands the ends of links on to the worker that
 * was elected; those that come while there is none wait for it.
 */
export function serveBroker(): void {
  const lockName = `tabserve:broker:${crypto.randomUUID()}`;
  const locked = holdLock(navigator.locks, lockName);
  let owner: Owner | undefined;
  const waiting: Knock[] = [];
  const forward = ({ tab, id, link }: Knock, elected: Owner): void => {
    elected.port.postMessage(undefined, [link]);
    tab.postMessage({ type: 'forwarded', id, lockName: elected.lockName } satisfies FromBroker);
  };
  const install = (elected: Owner): void => {
    owner = elected;
    watchLock(navigator.locks, elected.lockName, new AbortController().signal, () => {
      if (owner === elected) owner = undefined;
    });
    for (const knock of waiting.splice(0)) forward(knock, elected);
  };
  addEventListener('connect', (event) => {
    const tab = (event as MessageEvent).ports[0];
    if (tab === undefined) return;
    tab.onmessage = ({ data, ports: [port] }: MessageEvent<ToBroker>) => {
      if (port === undefined) return;
      if (data.type === 'offer') install({ port, lockName: data.lockName });
      else if (owner === undefined) waiting.push({ tab, id: data.id, link: port });
      else forward({ tab, id: data.id, link: port }, owner);
    };
    void locked.then(() => tab.postMessage({ type: 'hello', lockName } satisfies FromBroker));
  });
}
