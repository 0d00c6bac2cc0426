/** Of work that ends in its own turn. What is async goes on after it: its promise is to be a member of what is returned. */
type InOneTurn<T> = T extends PromiseLike<unknown> ? never : T;

/** Runs some work at once, and sees to it that what WebGPU finds fault with in it is told to whoever asked for it. */
export type Contain = <T>(work: () => InOneTurn<T>) => InOneTurn<T>;

/** Leaves errors to whoever listens to the device. */
export const uncontained: Contain = (work) => work();
