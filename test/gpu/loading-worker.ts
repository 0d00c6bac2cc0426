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

/**
 * As a disk does that runs full: a write fails after all, whatever room the browser had promised. One file is written at a
 * time, or two could find the same room.
 */
function limitRoom(parts: number): void {
  // oxlint-disable-next-line typescript/unbound-method -- they are called with their object
  const { write, close } = FileSystemWritableFileStream.prototype;
  let written: Promise<void> = Promise.resolve();
  const endings = new WeakMap<FileSystemWritableFileStream, () => void>();
  FileSystemWritableFileStream.prototype.write = async function (this: FileSystemWritableFileStream, data) {
    const before = written;
    written = new Promise((resolve) => endings.set(this, resolve));
    await before;
    if ((await storedParts()) < parts) return write.call(this, data);
    endings.get(this)?.();
    throw new DOMException('The operation failed because the disk is full.', 'QuotaExceededError');
  };
  FileSystemWritableFileStream.prototype.close = async function (this: FileSystemWritableFileStream) {
    await close.call(this);
    endings.get(this)?.();
  };
}

/** Files that have been written, of all models. */
async function storedParts(): Promise<number> {
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
