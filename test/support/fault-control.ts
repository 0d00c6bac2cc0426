import type { FileFaults, LoggedRequest } from './file-server.ts';

/** Content by its recipe, so that a page need not send it: seeded bytes that begin as a GGUF file, a text, or a tiny model. */
export type Recipe = { readonly length: number; readonly seed: number } | { readonly text: string } | { readonly model: 'babble' };

/** A server, or the one of another origin that it redirects to. */
export type Side = 'hub' | 'cdn';

/** The commands from a test in the browser to the faulty servers (see serve-faults.ts). */
export type FaultCommand =
  | { readonly do: 'reset' }
  | { readonly do: 'serve'; readonly at: Side; readonly path: string; readonly content: Recipe; readonly faults?: FileFaults }
  | { readonly do: 'misbehave'; readonly at: Side; readonly path: string; readonly faults: FileFaults }
  | { readonly do: 'remove'; readonly at: Side; readonly path: string }
  | { readonly do: 'publish'; readonly commit: string; readonly content: Recipe; readonly oid?: string; readonly token?: string }
  | { readonly do: 'answer'; readonly status: number | null }
  | { readonly do: 'log' };

/** The requests that the servers received since the last `reset`. */
export interface FaultLog {
  readonly hub: readonly LoggedRequest[];
  readonly cdn: readonly LoggedRequest[];
  /** Put to the hub's API and to its files. */
  readonly questions: readonly string[];
}

export interface FaultServers {
  /** Where commands are posted. */
  readonly control: string;
  /** Origins. */
  readonly hub: string;
  readonly cdn: string;
}
