import { transferHandlers } from 'comlink';
import { deserializeError, serializeError, TabserveError } from './errors.ts';
import type { SerializedError } from './errors.ts';

/** How a {@link TabserveError} looks on the wire; anything else thrown is left to Comlink's own handler. */
interface TaggedError {
  readonly tabserveError: SerializedError;
}

function isTagged(value: unknown): value is TaggedError {
  return typeof value === 'object' && value !== null && 'tabserveError' in value;
}

let registered = false;

/**
 * Teaches Comlink to carry a {@link TabserveError}'s code and parameter, both ways; its own handler keeps only message
 * and stack. Both ends of a port must have called this. Errors of other kinds cross as they did before, since a web
 * app may share this copy of Comlink.
 */
export function registerErrorTransfer(): void {
  if (registered) return;
  const original = transferHandlers.get('throw');
  if (original === undefined) throw new TabserveError('internal', 'This version of Comlink has no throw handler.');
  registered = true;
  transferHandlers.set('throw', {
    canHandle: (value: unknown): value is { readonly value: unknown } => original.canHandle(value),
    serialize(thrown: { readonly value: unknown }): [unknown, Transferable[]] {
      if (!(thrown.value instanceof TabserveError)) return original.serialize(thrown);
      const tagged: TaggedError = { tabserveError: serializeError(thrown.value) };
      return [tagged, []];
    },
    deserialize(wire: unknown): unknown {
      if (isTagged(wire)) throw deserializeError(wire.tabserveError);
      return original.deserialize(wire);
    },
  });
}
