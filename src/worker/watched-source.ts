import { type LoadWait, waitFor } from '../core/load-watch.ts';
import type { ModelSource } from '../core/protocol.ts';
import { untilAborted } from '../core/until-aborted.ts';
import type { ByteSource } from '../core/byte-source.ts';
import { type OpenOptions, openSource } from '../download/open-source.ts';
import type { LoadContext } from './served-model.ts';

const STORAGE: LoadWait = { cause: 'storage', what: 'the browser’s storage to be read, and what is read to be checked' };

/** A file that is not stored before its header is accepted. */
export interface WatchedSource extends ByteSource {
  /** Its header is accepted: the parts read so far are stored, and all later ones. */
  want(): void;
}

/** Opens a model's source. A read ends when the load is given up. While it lasts, the load is reported as waiting for it. */
export async function openWatched(
  source: ModelSource,
  options: Omit<OpenOptions, 'wanted'> & Pick<LoadContext, 'signal' | 'beginWait'>,
): Promise<WatchedSource> {
  const { signal, beginWait } = options;
  const wait = typeof source === 'string' ? STORAGE : { ...STORAGE, what: `the file ${source.name} to be read` };
  const during = <T>(task: Promise<T>): Promise<T> => waitFor(beginWait, wait, untilAborted(task, signal));
  let want = (): void => {};
  const wanted = new Promise<void>((resolve) => (want = resolve));
  const opened = await during(openSource(source, { ...options, wanted }));
  return {
    id: opened.id,
    size: opened.size,
    want,
    read: async (offset, length) => {
      signal.throwIfAborted();
      return during(opened.read(offset, length));
    },
  };
}
