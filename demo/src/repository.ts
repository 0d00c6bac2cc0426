import type { RepositoryName } from './model-choice.ts';
import { toProblem, type Problem } from './problems.ts';

/** A GGUF file of a repository. */
export interface RepositoryFile {
  readonly path: string;
  readonly bytes: number;
}

/** The state of the repository that was requested last. */
export type RepositoryState =
  | { readonly kind: 'asking'; readonly repository: RepositoryName }
  | { readonly kind: 'listed'; readonly repository: RepositoryName; readonly files: readonly RepositoryFile[] }
  | { readonly kind: 'failed'; readonly repository: RepositoryName; readonly problem: Problem };

export interface RepositoryOptions {
  readonly list: (repository: RepositoryName, signal: AbortSignal) => Promise<readonly RepositoryFile[]>;
  readonly isOnline: () => boolean;
  /** Called when there is something new to show. */
  readonly changed: () => void;
}

/** The files of a repository of the hub's, to choose a model from. */
export class Repository {
  state: RepositoryState | undefined;
  readonly #options: RepositoryOptions;
  #asking = new AbortController();

  constructor(options: RepositoryOptions) {
    this.#options = options;
  }

  /** Asks the hub. Never rejects: the outcome is `state`. */
  async browse(repository: RepositoryName): Promise<void> {
    const { list, isOnline } = this.#options;
    const asking = this.#begin();
    this.#set(asking, { kind: 'asking', repository });
    try {
      const files = await list(repository, asking.signal);
      this.#set(asking, { kind: 'listed', repository, files });
    } catch (error) {
      this.#set(asking, { kind: 'failed', repository, problem: toProblem(error, { hasArrived: false, isOnline: isOnline() }) });
    }
  }

  /** Another address is given. */
  leave(): void {
    this.#begin();
    if (this.state === undefined) return;
    this.state = undefined;
    this.#options.changed();
  }

  #begin(): AbortController {
    this.#asking.abort();
    return (this.#asking = new AbortController());
  }

  #set(asking: AbortController, state: RepositoryState): void {
    if (asking !== this.#asking) return; // another one has been asked for
    this.state = state;
    this.#options.changed();
  }
}
