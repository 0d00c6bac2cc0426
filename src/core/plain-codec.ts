/** A message as a text, and beside it the contents of the files in it. */
export interface Encoded {
  readonly text: string;
  readonly blobs: readonly Blob[];
}

/** Of a `Blob` or, where it has a name, a `File`. */
interface BlobDescription {
  readonly size: number;
  readonly type: string;
  readonly name?: string;
  readonly lastModified?: number;
}

/** Begins a string that stands for something else; a string of that beginning is itself marked. */
const MARK = '\u0000';

/**
 * Plain data as a text, with what JSON lacks: `undefined`, numbers that are not finite, -0. A `Blob` or `File` has its
 * name, type, size and date in the text, and its content beside it, by reference, since its bytes can only be read asynchronously.
 *
 * @throws DOMException `DataCloneError`, as `structuredClone` does, for functions, symbols and cycles, and also for what
 *   no message of ours has: bigints, maps, sets, dates, arrays of bytes
 */
export function encodePlain(value: unknown): Encoded {
  const blobs: Blob[] = [];
  const marked = mark(value, blobs, new Set());
  return { text: JSON.stringify([marked, blobs.map(describe)]), blobs: blobs.map((blob) => blob.slice(0, blob.size, blob.type)) };
}

/**
 * The value of a text that {@link encodePlain} made.
 *
 * @throws Error where the blobs are not those that it was made with, as far as their sizes and types tell
 */
export function decodePlain({ text, blobs }: Encoded): unknown {
  const [marked, descriptions] = JSON.parse(text) as [unknown, readonly BlobDescription[]];
  if (descriptions.length !== blobs.length) throw new Error('The blobs do not belong to the message.');
  const files = descriptions.map((description, i) => restore(blobs[i], description));
  return unmark(marked, files);
}

function mark(value: unknown, blobs: Blob[], holders: Set<object>): unknown {
  switch (typeof value) {
    case 'string':
      return value.startsWith(MARK) ? `${MARK}s${value}` : value;
    case 'boolean':
      return value;
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0) ? value : `${MARK}n${Object.is(value, -0) ? '-0' : value}`;
    case 'undefined':
      return `${MARK}u`;
    case 'object':
      break;
    case 'bigint':
    case 'function':
    case 'symbol':
      throw notPlain(value);
  }
  if (value === null) return null;
  if (value instanceof Blob) return `${MARK}b${blobs.push(value) - 1}`;
  if (!isPlain(value) || holders.has(value)) throw notPlain(value);
  holders.add(value);
  const marked = Array.isArray(value)
    ? Array.from(value, (item) => mark(item, blobs, holders))
    : Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mark(item, blobs, holders)]));
  holders.delete(value);
  return marked;
}

/** An array or a record, of this realm or another. */
function isPlain(value: object): boolean {
  return Array.isArray(value) || Object.prototype.toString.call(value) === '[object Object]';
}

/** Restores a parsed value in place. */
function unmark(value: unknown, files: readonly Blob[]): unknown {
  if (typeof value === 'string') return value.startsWith(MARK) ? meaning(value, files) : value;
  if (typeof value !== 'object' || value === null) return value;
  const holder = value as Record<string, unknown>;
  for (const [key, item] of Object.entries(holder)) holder[key] = unmark(item, files);
  return holder;
}

function meaning(marked: string, files: readonly Blob[]): unknown {
  const [kind, rest] = [marked[1], marked.slice(2)];
  if (kind === 's') return rest;
  if (kind === 'n') return Number(rest);
  return kind === 'b' ? files[Number(rest)] : undefined;
}

function describe(blob: Blob): BlobDescription {
  const { size, type } = blob;
  return blob instanceof File ? { size, type, name: blob.name, lastModified: blob.lastModified } : { size, type };
}

function restore(blob: unknown, { size, type, name, lastModified }: BlobDescription): Blob {
  const isIt = blob instanceof Blob && blob.size === size && blob.type === type;
  if (!isIt) throw new Error('A blob does not belong to the message.');
  return name === undefined ? blob : new File([blob], name, { type, ...(lastModified === undefined ? {} : { lastModified }) });
}

function notPlain(value: unknown): DOMException {
  const what = typeof value === 'object' ? Object.prototype.toString.call(value) : `A ${typeof value}`;
  return new DOMException(`${what} could not be cloned.`, 'DataCloneError');
}
