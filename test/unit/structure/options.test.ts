import { parseSync } from 'vite';
import { expect, test } from 'vitest';
import { listFiles, readText } from './source-graph.ts';

/** In how many files of src/ the name of an option may stand, as code: its declaration and where it is applied. */
const MOST_FILES = 5;

/** Files beyond those, and why they have the name. */
const EXCEPTIONS: Readonly<Record<string, { readonly files: readonly string[]; readonly why: string }>> = {
  kvCacheDtype: {
    files: ['kernels/attention.ts', 'kernels/matmul-rope-kv-write.ts', 'kernels/rope-kv-write.ts', 'models/decoder.ts'],
    why: 'each kernel of the KV cache is built for one type',
  },
  numerics: {
    files: [
      'kernels/matmul.ts', 'kernels/quantise.ts', 'models/decoder.ts', 'models/weights-planner.ts', 'runner/known-answers/known-product.ts',
      'runner/known-answers/products.ts',
    ],
    why: 'each matrix product is built for one class, and tested in it',
  },
  maxModelLen: {
    files: [
      'core/protocol.ts', 'core/scheduler-output.ts', 'runner/cache-report.ts', 'runner/decoder-state.ts', 'runner/gpu-budget.ts',
      'runner/kv-cache.ts', 'scheduler/check-request.ts', 'scheduler/request-state.ts', 'worker/active-request.ts', 'worker/load-model.ts',
    ],
    why: 'the limit that the scheduler keeps has the same name, as in vLLM',
  },
  tuning: { files: ['core/metrics.ts', 'worker/model-metrics.ts', 'worker/served-model.ts'], why: 'metrics().tuning reports on it' },
  chatTemplate: { files: ['core/progress.ts', 'core/protocol.ts'], why: 'the origin of the template, which tabs see, has the same name' },
  cacheKey: { files: ['storage/cache-manifest.ts', 'storage/model-storage.ts', 'client/create-client.ts'], why: 'it is a field of a stored manifest; the last one only checks it' },
  hub: { files: ['cache.ts', 'download/model-url.ts', 'worker/model-addresses.ts'], why: 'a name is also looked up without a load; a model is reached by the address of any of its tabs' },
};

interface Node {
  readonly type: string;
  readonly [key: string]: unknown;
}

function parse(file: string): readonly Node[] {
  return parseSync(file, readText(file)).program.body as unknown as readonly Node[];
}

/** All nodes below one, itself included. */
function* nodesOf(value: unknown): Generator<Node> {
  if (typeof value !== 'object' || value === null) return;
  if ('type' in value && typeof value.type === 'string') yield value as Node;
  for (const child of Object.values(value)) yield* nodesOf(child);
}

/** The names of an interface's own members. */
function membersOf(file: string, name: string): readonly string[] {
  const found = [...nodesOf(parse(file))].find((node) => node.type === 'TSInterfaceDeclaration' && (node['id'] as Node)['name'] === name);
  if (found === undefined) throw new Error(`${file} has no interface ${name}.`);
  const { body } = found['body'] as { body: readonly { key: { name: string } }[] };
  return body.map(({ key }) => key.name);
}

/** The identifiers of each file of src/: neither comments nor texts. */
const NAMES: ReadonlyMap<string, ReadonlySet<unknown>> = new Map(
  listFiles('src', '.ts').map((file) => {
    const names = [...nodesOf(parse(file))].flatMap((node) => (node.type === 'Identifier' ? [node['name']] : []));
    return [file.replace(/^src\//, ''), new Set(names)];
  }),
);

const OPTIONS = [
  ...membersOf('src/core/load-settings.ts', 'LoadSettings'),
  ...membersOf('src/core/protocol.ts', 'ModelAccess'),
  ...membersOf('src/core/protocol.ts', 'LoadOptions'),
];

test.each(OPTIONS)('the load option %s is declared once, and reaches where it is applied without being named on the way', (option) => {
  const named = [...NAMES].filter(([, names]) => names.has(option)).map(([file]) => file);
  const { files = [] } = EXCEPTIONS[option] ?? {};
  expect(named).toEqual(expect.arrayContaining([...files])); // no exception is stale
  const rest = named.filter((file) => !files.includes(file));
  expect(rest.length, rest.join(', ')).toBeLessThanOrEqual(MOST_FILES);
});

test('the options are those of createClient', () => {
  expect(OPTIONS).toEqual(expect.arrayContaining(['kvCacheBytes', 'numerics', 'chatTemplate', 'hub', 'requireChat']));
  expect(Object.keys(EXCEPTIONS).filter((option) => !OPTIONS.includes(option))).toEqual([]);
  const own = membersOf('src/client/create-client.ts', 'ClientOptions');
  expect(own.filter((option) => OPTIONS.includes(option))).toEqual([]);
});

/** Calls whose names stand for nothing else. */
const CALLS = { inspect: 'client/client.ts', setHidden: 'client/session.ts', injectFault: 'testing.ts' } as const;

test.each(Object.entries(CALLS))('the call %s stands in the protocol, in the worker’s session, and where an app finds it', (call, offeredBy) => {
  expect(membersOf('src/core/protocol.ts', 'EngineHost')).toContain(call);
  expect([...NAMES].filter(([, names]) => names.has(call)).map(([file]) => file)).toEqual(['core/protocol.ts', offeredBy, 'worker/session.ts'].toSorted());
});

test('a session of the client names no call but its own', () => {
  const own = ['connect', 'load', 'keep', 'generate', 'abort', 'setHidden', 'metrics', 'disconnect'];
  const others = membersOf('src/core/protocol.ts', 'EngineHost').filter((call) => !own.includes(call));
  expect(others).toEqual(expect.arrayContaining(['inspect', 'profile', 'limits', 'injectFault']));
  for (const file of ['session', 'recovery', 'host-connection']) {
    expect(others.filter((call) => NAMES.get(`client/${file}.ts`)?.has(call))).toEqual([]);
  }
});
