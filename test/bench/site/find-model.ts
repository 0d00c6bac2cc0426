import defaultModel from '../../../demo/default-model.json' with { type: 'json' };

/** A model to measure: what `createClient` loads it by, and what people call it. */
export interface BenchModel {
  readonly url: string;
  readonly label: string;
}

/** What `?model=` names; else the default model, from this site where it has it, and from the hub where not. */
export async function findModel(address: URL = new URL(location.href)): Promise<BenchModel> {
  const asked = address.searchParams.get('model');
  if (asked !== null) return { url: asked.startsWith('hf:') ? asked : new URL(asked, address).href, label: labelOf(asked) };
  return (await beside(new URL('../models/index.json', address))) ?? onHub();
}

/** The file's name. */
function labelOf(address: string): string {
  return address.startsWith('hf:') ? address : decodeURIComponent(address.split(/[?#]/, 1)[0]?.split('/').at(-1) ?? address);
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
