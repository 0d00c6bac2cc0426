/**
 * A synchronous result. A promise must be a member of it, because error scopes cover only the synchronous part of a
 * call.
 */
type Synchronous<T> = T extends PromiseLike<unknown> ? never : T;

/** Runs `work` synchronously and reports the WebGPU errors of its calls to the owner of this function. */
export type Contain = <T>(work: () => Synchronous<T>) => Synchronous<T>;

/** Leaves errors to the device's own listeners. */
export const uncontained: Contain = (work) => work();
