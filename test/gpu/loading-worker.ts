/** Loads a model inside a worker, and says how far it is: a worker that is ended in the middle, or meets a full disk. */
import { serializeError } from '../../src/core/errors.ts';
import type { SerializedError } from '../../src/core/errors.ts';
import { loadFrom } from './loading-once.ts';
import type { LoadSetup, Told } from './loading-once.ts';

export interface WorkerAsks {
  readonly name: string;
  readonly endpoint: string;
  readonly setup?: LoadSetup;
  /** How many parts, of all models, the disk has room for. @default any number */
  readonly room?: number;
}

export interface WorkerTells {
  readonly bytesRead: number;
  readonly isDone: boolean;
  readonly told?: Told;
  readonly error?: SerializedError;
}

addEventListener('message', ({ data }: MessageEvent<WorkerAsks>) => {
  if (data.room !== undefined) limitRoom(data.room);
  const tell = (message: WorkerTells): void => postMessage(message);
  loadFrom(data.endpoint, data.name, data.setup ?? {}, (bytesRead) => tell({ bytesRead, isDone: false })).then(
    (told) => tell({ bytesRead: 0, isDone: true, told }),
    (error: unknown) => tell({ bytesRead: 0, isDone: true, error: serializeError(error) }),
  );
});

/** As a disk does that runs full: a write fails after all, whatever room the browser had promised. */
function limitRoom(parts: number): void {
  // oxlint-disable-next-line typescript/unbound-method -- they are called with their object
  const { write, close } = FileSystemWritableFileStream.prototype;
  let numOpen = 0;
  /** One after the other, so that two parts are never promised the same room. */
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(step: () => Promise<T>): Promise<T> => {
    const done = turn.then(step);
    turn = done.catch(() => {});
    return done;
  };
  FileSystemWritableFileStream.prototype.write = async function (this: FileSystemWritableFileStream, data) {
    await inTurn(async () => {
      const isFull = (await storedParts()) + numOpen >= parts;
      if (isFull) throw new DOMException('The operation failed because the disk is full.', 'QuotaExceededError');
      numOpen++;
    });
    return write.call(this, data);
  };
  FileSystemWritableFileStream.prototype.close = function (this: FileSystemWritableFileStream) {
    return inTurn(() => close.call(this).finally(() => numOpen--));
  };
}

/** Files that have been written, of all models; counted again where one is removed meanwhile. */
function storedParts(): Promise<number> {
  return countParts().catch((error: unknown) => {
    if (error instanceof DOMException && error.name === 'NotFoundError') return storedParts();
    throw error;
  });
}

async function countParts(): Promise<number> {
  const models = await (await navigator.storage.getDirectory()).getDirectoryHandle('tabserve-models');
  let count = 0;
  for await (const model of models.values()) {
    if (!(model instanceof FileSystemDirectoryHandle)) continue;
    for await (const part of model.values()) {
      if (part instanceof FileSystemFileHandle && !part.name.endsWith('.crswap') && (await part.getFile()).size > 0) count++;
    }
  }
  return count;
}
