// Not every browser has `using` and its symbols yet; compilers that rewrite it for them look for these.
const DISPOSE = (Symbol as Partial<SymbolConstructor>).dispose ?? Symbol.for('Symbol.dispose');
const ASYNC_DISPOSE = (Symbol as Partial<SymbolConstructor>).asyncDispose ?? Symbol.for('Symbol.asyncDispose');

/** Gives objects a `[Symbol.dispose]()`, for `using`. */
export function disposeBy<T extends Disposable>(prototype: T, dispose: (object: T) => void): void {
  define(prototype, DISPOSE, dispose);
}

/** Gives objects a `[Symbol.asyncDispose]()`, for `await using`. */
export function asyncDisposeBy<T extends AsyncDisposable>(prototype: T, dispose: (object: T) => Promise<void>): void {
  define(prototype, ASYNC_DISPOSE, dispose);
}

function define<T extends object>(prototype: T, name: symbol, dispose: (object: T) => unknown): void {
  Object.defineProperty(prototype, name, {
    value(this: T) {
      return dispose(this);
    },
    configurable: true,
    writable: true,
  });
}
