import { TabserveError } from './errors.ts';

/** The error for a user's file that cannot be read any more: a `File` is a reference to what was on the disk then. */
export function fileLost(name: string, cause?: unknown): TabserveError {
  const why = 'it is empty, or has been changed, moved or deleted since it was chosen';
  return new TabserveError('model_not_found', `${name} cannot be read: ${why}. Choose it again.`, { cause });
}
