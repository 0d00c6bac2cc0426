import type { SourceGraph } from './source-graph.ts';

/** Folder of src/ -> rank. An import goes to a lower rank; folders of one rank do not import each other. */
export const RANKS: Readonly<Record<string, number>> = {
  core: 0,
  api: 1,
  tokenizer: 1,
  quant: 1,
  storage: 1,
  scheduler: 1,
  gpu: 1,
  formats: 2,
  kernels: 2,
  tuning: 2,
  remote: 2,
  download: 3,
  models: 3,
  runner: 4,
  engine: 5,
  worker: 6,
  client: 6,
};

/** The files that an app imports. */
const ENTRY_POINTS = ['src/index.ts', 'src/cache.ts', 'src/testing.ts'];

/** The folders whose files may import shader text. */
const SHADER_READERS = ['gpu', 'kernels'];

/** Imports of src/ and demo/ that the layers forbid, as `FILE imports TARGET: WHY`. */
export function layerViolations(graph: SourceGraph): readonly string[] {
  return [...graph].flatMap(([file, targets]) =>
    targets.flatMap((target) => {
      const why = file.startsWith('demo/') ? forbiddenToDemo(file, target) : forbiddenToSource(file, target);
      return why === undefined ? [] : [`${file} imports ${target}: ${why}`];
    }),
  );
}

function forbiddenToSource(file: string, target: string): string | undefined {
  const from = folderOf(file);
  if (target.startsWith('shaders/')) {
    return from !== undefined && SHADER_READERS.includes(from)
      ? undefined
      : `only ${SHADER_READERS.join(' and ')} read shaders`;
  }
  if (target.startsWith('node:')) return 'a browser has no Node modules';
  if (!target.startsWith('src/')) return /^(demo|test)\//.test(target) ? 'the library stands alone' : undefined;
  const to = folderOf(target);
  // src/index.ts, src/cache.ts and src/testing.ts, the entry points, stand above all layers.
  if (from === undefined || to === from) return to === undefined ? 'nothing imports the entry point' : undefined;
  if (to === undefined) return 'nothing imports the entry point';
  const [fromRank, toRank] = [RANKS[from], RANKS[to]];
  if (fromRank === undefined || toRank === undefined) return `${fromRank === undefined ? from : to}/ is no layer`;
  if (fromRank === toRank) return `${from}/ and ${to}/ are siblings`;
  return fromRank < toRank ? `${from}/ (${fromRank}) is below ${to}/ (${toRank})` : undefined;
}

function forbiddenToDemo(file: string, target: string): string | undefined {
  if (target.startsWith('test/')) return 'the demo ships, the tests do not';
  // The benchmark measures the library's parts, too.
  if (file.startsWith('demo/bench/') && target.startsWith('src/')) return undefined;
  const isApp = file.startsWith('demo/src/');
  if (!/^(src|shaders)\//.test(target) && !(isApp && target.startsWith('demo/bench/'))) return undefined;
  const allowed = ENTRY_POINTS.includes(target) || target.startsWith('src/core/');
  return allowed ? undefined : `the demo uses what every app has: ${ENTRY_POINTS.join(', ')}, and the types of src/core`;
}

/** The folder of src/ that a file lies in; undefined for a file of src/ itself. */
function folderOf(file: string): string | undefined {
  const [, folder, rest] = file.split('/');
  return rest === undefined ? undefined : folder;
}

/** Each import cycle once, as the files it runs through. */
export function cycles(graph: SourceGraph): readonly (readonly string[])[] {
  const found: string[][] = [];
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file);
    if (start >= 0) found.push([...path.slice(start), file]);
    if (start >= 0 || done.has(file)) return;
    for (const target of graph.get(file) ?? []) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of graph.keys()) visit(file, []);
  return found;
}

/** What a module draws in, directly or not, packages included. */
export function reachableFrom(entry: string, graph: SourceGraph): ReadonlySet<string> {
  const reached = new Set<string>();
  const pending = [entry];
  for (let file = pending.pop(); file !== undefined; file = pending.pop()) {
    if (reached.has(file)) continue;
    reached.add(file);
    pending.push(...(graph.get(file) ?? []));
  }
  return reached;
}
