import { openGpu } from '../../../src/gpu/device.ts';
import type { ByteSource } from '../../../src/core/byte-source.ts';
import { readModelFile } from '../../../src/formats/gguf.ts';
import { readModelConfig } from '../../../src/models/architectures.ts';
import { type LoadedRunner, loadRunner, type LoadRunnerOptions } from '../../../src/runner/load-runner.ts';
import { ModelRuns } from './model-runs.ts';
import { StepWork } from './step-work.ts';

const BLOCK_SIZE = 16;

/** A model on the GPU. */
export interface Subject {
  readonly loaded: LoadedRunner;
  readonly work: StepWork;
  /** Milliseconds of reading, repacking, upload and compiling, until it is ready; and bytes of the file's tensors. */
  readonly loadMs: number;
  readonly fileBytes: number;
}

/** What a model's KV cache should hold. */
export interface Room {
  readonly sequences: number;
  /** Of each sequence; what is beyond the model's own context is left out. */
  readonly tokens: number;
  /** @default no bound */
  readonly maxBytes?: number;
}

/** How its kernels are built. */
export type SubjectSettings = Pick<LoadRunnerOptions, 'numerics' | 'kvCacheDtype' | 'subgroups' | 'log'>;

/** Loads a model as the product does, with a KV cache of the size asked for, or what the GPU has of it. */
export async function loadSubject(source: ByteSource, room: Room, gpu?: GPU, settings: SubjectSettings = {}): Promise<Subject> {
  const start = performance.now();
  const file = await readModelFile(source);
  const config = readModelConfig(file);
  const opened = await openGpu(gpu, settings.numerics);
  const work = new StepWork(file, config, opened.adapter.isSoftware);
  const tokens = Math.ceil(room.tokens / BLOCK_SIZE) * BLOCK_SIZE;
  const maxModelLen = Math.min(tokens, config.maxPositionEmbeddings);
  const sequenceBytes = tokens * work.kvTokenBytes;
  const kvCacheBytes = Math.max(sequenceBytes, Math.min(room.sequences * sequenceBytes, room.maxBytes ?? Infinity));
  const limits = { maxNumSeqs: room.sequences };
  const loaded = await loadRunner({ ...settings, file, gpu: opened, kvCacheBytes, maxModelLen, limits });
  const fileBytes = file.tensors.reduce((sum, tensor) => sum + tensor.byteLength, 0);
  const loadMs = performance.now() - start;
  await Promise.all(loaded.deferredKernels.map((kernel) => kernel.compile()));
  return { loaded, work, loadMs, fileBytes };
}

/** Plans of as many sequences of `tokens` as there is room for, `sequences` at most; undefined where there is none. */
export function runsOf({ loaded }: Subject, sequences: number, tokens: number): ModelRuns | undefined {
  const { numBlocks, blockSize, maxModelLen } = loaded.scheduler;
  const room = Math.min(sequences, Math.floor(numBlocks / Math.ceil(tokens / blockSize)));
  return room === 0 || tokens > maxModelLen ? undefined : new ModelRuns(loaded, room, tokens);
}
