import type { ConversationStore } from './conversation-store.ts';
import type { CreateClient } from './contract.ts';
import type { DefaultModel } from './default-model.ts';
import type { CacheAccess } from './model-cache.ts';
import type { ModelChoice, RepositoryName } from './model-choice.ts';
import type { PageStorage } from './page-storage.ts';
import type { RepositoryFile } from './repository.ts';
import type { Obstacle } from './webgpu-help.ts';

/** The controller's dependencies. */
export interface ChatEnvironment {
  readonly createClient: CreateClient;
  readonly findDefaultModel: () => Promise<DefaultModel>;
  /** Why models cannot run here at all, found without asking the engine. */
  readonly findObstacle: () => Obstacle | undefined;
  readonly isOnline: () => boolean;
  /** This tab's own, through a reload. */
  readonly session: PageStorage;
  /** For all tabs and visits. */
  readonly lasting: PageStorage;
  /** The base of a model's path. */
  readonly baseUrl: string;
  /** So that a reload, or a link, brings the model that answers now. */
  readonly rememberModel: (choice: ModelChoice, isDefault: boolean) => void;
  /** The GGUF files of a repository of the hub's. @throws TabserveError */
  readonly listRepository: (repository: RepositoryName, signal: AbortSignal) => Promise<readonly RepositoryFile[]>;
  readonly conversations: ConversationStore;
  readonly cache: CacheAccess;
  /** Whether this site answers for an address of its own with a redirect. */
  readonly isRedirected: (url: string) => Promise<boolean>;
  /** Milliseconds since the page was opened; {@link clock} gives those since 1970. */
  readonly now: () => number;
  readonly clock: () => number;
  /** Runs something at the next animation frame: however fast tokens come, the page renders once a frame. */
  readonly nextFrame: (callback: () => void) => void;
}
