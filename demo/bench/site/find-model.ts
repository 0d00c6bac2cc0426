import defaultModel from '../../default-model.json' with { type: 'json' };
import { addressChoice, nameOf } from '../../src/model-choice.ts';
import { linkTo, type ModelPlaces } from '../../src/model-link.ts';
import { shownAddress } from '../../src/shown-address.ts';

/** A model to measure. */
export interface BenchModel {
  /** What `createClient` loads it by. */
  readonly url: string;
  /** What people call it; of one that the address names, its file on this site, its URL or its hub's name, without secrets. */
  readonly label: string;
  /** The host that it would be fetched from because a link says so, in words; undefined of the default model, and of one that is at hand. */
  readonly linkedHost?: string | undefined;
}

export type ModelSearch = Pick<ModelPlaces, 'cache' | 'isRedirected'>;

/**
 * What `?model=` names; else the default model, from this site where it has it, and from the hub where not.
 *
 * @returns undefined where `?model=` names no model
 */
export async function findModel(address: URL, search: ModelSearch): Promise<BenchModel | undefined> {
  const asked = address.searchParams.get('model');
  if (asked === null) return (await beside(new URL('../models/index.json', address))) ?? onHub();
  const choice = addressChoice(asked);
  const name = choice && nameOf(choice.source, address.href);
  if (choice === undefined || typeof choice.source !== 'string' || name === undefined) return undefined;
  const { source } = choice;
  const isHubName = source.startsWith('hf:');
  const link = await linkTo(choice, { ...search, baseUrl: address.href });
  return {
    url: isHubName ? source : new URL(source, address).href,
    label: isHubName ? source : labelOf(name, address),
    linkedHost: link?.kind === 'model' && link.isRedirected ? `where ${link.host} leads` : link?.host,
  };
}

function labelOf(name: string, { origin }: URL): string {
  const url = new URL(name);
  return url.origin === origin ? (url.pathname.split('/').at(-1) ?? name) : name;
}

/** The page's address without what is secret in `?model=`. */
export function shownPage(address: URL): URL {
  const shown = new URL(address);
  const asked = address.searchParams.get('model');
  if (asked !== null) shown.searchParams.set('model', shownAddress(asked, address.href));
  return shown;
}

async function beside(index: URL): Promise<BenchModel | undefined> {
  try {
    const response = await fetch(index);
    const { default: entry } = (await response.json()) as { default?: { available?: boolean; url?: string; name?: string } };
    if (entry?.available !== true || entry.url === undefined) return undefined;
    return { url: new URL(entry.url, index).href, label: entry.name ?? entry.url };
  } catch {
    return undefined; // a static host without models
  }
}

function onHub(): BenchModel {
  const { repo, file, revision, name } = defaultModel;
  return { url: `hf:${repo}/${file}@${revision}`, label: name };
}
