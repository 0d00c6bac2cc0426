import { type StepCommand, type StepReport, STEPS_CHANNEL } from './channel.ts';

type Method = (this: unknown, ...args: unknown[]) => Promise<unknown>;

/** The browser's promises that an engine's worker awaits: of the network, the storage and the GPU. */
const ANSWERS: readonly (readonly [owner: string, ...methods: string[]])[] = [
  ['ReadableStreamDefaultReader', 'read'],
  ['FileSystemDirectoryHandle', 'getDirectoryHandle', 'getFileHandle'],
  ['FileSystemFileHandle', 'getFile', 'createWritable'],
  ['FileSystemWritableFileStream', 'write', 'close'],
  ['SubtleCrypto', 'digest'],
  ['GPU', 'requestAdapter'],
  ['GPUAdapter', 'requestDevice'],
  ['GPUDevice', 'createComputePipelineAsync', 'popErrorScope'],
  ['GPUBuffer', 'mapAsync'],
  ['GPUQueue', 'onSubmittedWorkDone'],
];

/**
 * In an engine's worker: counts the answers of its browser, and holds one of them back until its test says otherwise. The
 * broker's is left alone.
 */
export function countSteps(): void {
  if (self.name.startsWith('tabserve-broker')) return;
  const channel = new BroadcastChannel(STEPS_CHANNEL);
  const post = (report: StepReport): void => channel.postMessage(report);
  let hold = Infinity;
  let steps = 0;
  let release = (): void => {};
  let released: Promise<void> | undefined;
  channel.addEventListener('message', ({ data }: MessageEvent<StepCommand>) => {
    if (data.type === 'arm') {
      hold = data.hold;
      steps = 0;
      released = new Promise((resolve) => (release = resolve));
    } else {
      hold = Infinity;
      release();
      post({ type: 'counted', steps });
    }
  });
  const step = async (what: string): Promise<void> => {
    steps++;
    if (steps !== hold) return;
    post({ type: 'held', what });
    await released;
  };
  const count = (owner: object | undefined, name: string): void => {
    const methods = (owner ?? {}) as Record<string, Method | undefined>;
    const original = methods[name];
    if (original === undefined) return;
    methods[name] = async function (...args) {
      try {
        return await original.apply(this, args);
      } finally {
        await step(name);
      }
    };
  };
  const scope = globalThis as unknown as Record<string, { readonly prototype: object } | undefined>;
  count(globalThis, 'fetch');
  for (const [owner, ...methods] of ANSWERS) for (const name of methods) count(scope[owner]?.prototype, name);
}
