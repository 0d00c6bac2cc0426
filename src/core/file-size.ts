import { TabserveError } from './errors.ts';

/**
 * The largest file that is read: 1 TiB. The largest machines that run a browser have half of that as memory for their GPU,
 * and the largest open models take less than 1 TiB at 4 bits a weight. Sums of offsets below it are safe integers, and a
 * manifest of its parts has 131,072 entries.
 */
export const MAX_FILE_BYTES = 2 ** 40;

/** The most bytes of a file beside its tensors: its header, and padding. */
const BESIDE_TENSORS_BYTES = 128 * 1024 * 1024;

/**
 * How many times smaller than in its file a model may become on the GPU. No packing is smaller than what it is made of, so
 * 2 is generous: it leaves nearly all refusals to the header, which says to the byte what the model needs.
 */
const MOST_SHRINKING = 2;

/**
 * Refuses a size that a server, a hub or a `File` claims, before anything is made for it.
 *
 * @param id what to call the file
 * @param size in bytes, as claimed: any number
 * @param budgetBytes `gpuMemoryBytes`, where the user has given it. @default not known
 * @throws TabserveError `out_of_memory`, with `details.neededBytes` and `details.budgetBytes`
 */
export function checkFileSize(id: string, size: number, budgetBytes?: number): void {
  if (!(size <= MAX_FILE_BYTES)) {
    const remedy = 'Check the address: its server may be wrong about the size. If it is not, use a smaller model';
    const bound = `the most that tabserve reads is ${MAX_FILE_BYTES} bytes (1 TiB), which is more than any browser can hold`;
    throw tooLarge(`${id} is said to have ${size} bytes, and ${bound}. ${remedy}.`, size, MAX_FILE_BYTES);
  }
  if (budgetBytes === undefined) return;
  const most = MOST_SHRINKING * budgetBytes + BESIDE_TENSORS_BYTES;
  if (size <= most) return;
  const remedy = 'Use a smaller quantisation or model, or raise gpuMemoryBytes if the GPU has more';
  const bound = `no file of over ${most} bytes fits into the ${budgetBytes} bytes that gpuMemoryBytes allows`;
  throw tooLarge(`${id} is said to have ${size} bytes, and ${bound}. ${remedy}.`, size, budgetBytes);
}

function tooLarge(message: string, neededBytes: number, budgetBytes: number): TabserveError {
  return new TabserveError('out_of_memory', message, { details: { neededBytes, budgetBytes } });
}
