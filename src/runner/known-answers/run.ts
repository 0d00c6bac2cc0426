import { runCooperatively, type Task } from '../../core/cooperative-task.ts';
import { BufferPool } from '../../gpu/buffers.ts';
import { containErrors } from '../../gpu/error-scope.ts';
import type { Gpu } from '../../gpu/device.ts';
import type { BufferRange } from '../../gpu/kernel.ts';
import type { KnownAnswer, Read, Results, TestedModel } from './known-answer.ts';
import { knownAnswers } from './plan.ts';

/** A kernel whose numbers are wrong. */
export interface WrongKernel {
  readonly kernel: string;
  /** The first number that is wrong. */
  readonly what: string;
}

/**
 * Runs a model's kernels on inputs whose results are known: one submit, one read-back. Everything that it writes is cleared
 * after it.
 *
 * @returns the first kernel whose results are wrong
 * @throws TabserveError `out_of_memory` for want of memory for inputs and results, before anything runs; `device_lost`, or
 *   `internal` where the GPU reports an error
 */
export async function findWrongKernel(gpu: Gpu, model: TestedModel): Promise<WrongKernel | undefined> {
  const answers = await runCooperatively(knownAnswers(model));
  const buffers = new BufferPool(gpu.device);
  try {
    const own = createBuffers(buffers, answers);
    await buffers.ready();
    const results = await containErrors(gpu, (contain) => readBack(own, contain(() => submit(gpu.device, own, answers))));
    return await runCooperatively(firstWrong(answers, results));
  } finally {
    buffers.destroy();
  }
}

function* firstWrong(answers: readonly KnownAnswer[], results: readonly Results[]): Task<WrongKernel | undefined> {
  for (const [i, { kernel, check }] of answers.entries()) {
    const of = results[i];
    const what = of && check(of);
    if (what !== undefined) return { kernel, what };
    yield;
  }
  return undefined;
}

/** A range of a buffer, in bytes. */
interface Place {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly size: number;
}

function placeOf(range: BufferRange, offset: number, size: number): Place {
  return 'buffer' in range ? { buffer: range.buffer, offset: range.offset + offset, size } : { buffer: range, offset, size };
}

function placeOfRead({ from, offset = 0, size }: Read): Place {
  return placeOf(from, offset, size);
}

/** The buffers of a test: all inputs, and all results. */
interface OwnBuffers {
  readonly inputs: GPUBuffer;
  readonly staging: GPUBuffer;
}

function createBuffers(buffers: BufferPool, answers: readonly KnownAnswer[]): OwnBuffers {
  const { COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
  const sum = (sizes: readonly number[]): number => sizes.reduce((total, size) => total + size, 0);
  const inputs = sum(answers.flatMap(({ writes }) => writes.map(({ data }) => data.byteLength)));
  const results = sum(answers.flatMap(({ reads }) => Object.values(reads).map(({ size }) => size)));
  return {
    inputs: buffers.create('inputs of known answers', inputs, COPY_SRC | COPY_DST),
    staging: buffers.create('known answers', results, COPY_DST | MAP_READ),
  };
}

/** By answer: the place of each result among all. */
type Parts = readonly ReadonlyMap<string, Pick<Place, 'offset' | 'size'>>[];

function submit(device: GPUDevice, { inputs, staging }: OwnBuffers, answers: readonly KnownAnswer[]): Parts {
  const words = new Uint8Array(inputs.size);
  const encoder = device.createCommandEncoder();
  const cleared: Place[] = [];
  let [input, output] = [0, 0];
  const parts = answers.map(({ writes, dispatches, reads, follows = false }) => {
    const own = Object.values(reads).filter(({ isKept = false }) => !isKept).map(placeOfRead);
    if (!follows) clear(encoder, own);
    cleared.push(...own);
    for (const { to, offset = 0, data } of writes) {
      const place = placeOf(to, offset, data.byteLength);
      words.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), input);
      encoder.copyBufferToBuffer(inputs, input, place.buffer, place.offset, place.size);
      cleared.push(place);
      input += place.size;
    }
    encode(encoder, dispatches);
    return new Map(Object.entries(reads).map(([name, read]) => {
      const { buffer, offset, size } = placeOfRead(read);
      encoder.copyBufferToBuffer(buffer, offset, staging, output, size);
      output += size;
      return [name, { offset: output - size, size }];
    }));
  });
  clear(encoder, cleared);
  device.queue.writeBuffer(inputs, 0, words);
  device.queue.submit([encoder.finish()]);
  return parts;
}

function clear(encoder: GPUCommandEncoder, places: readonly Place[]): void {
  for (const { buffer, offset, size } of places) encoder.clearBuffer(buffer, offset, size);
}

function encode(encoder: GPUCommandEncoder, dispatches: KnownAnswer['dispatches']): void {
  const pass = encoder.beginComputePass();
  for (const { op, step, grid = op.grid(step) } of dispatches) {
    pass.setPipeline(op.pipeline(step));
    pass.setBindGroup(0, op.bindGroup);
    pass.dispatchWorkgroups(...grid);
  }
  pass.end();
}

async function readBack({ staging }: OwnBuffers, parts: Parts): Promise<readonly Results[]> {
  await staging.mapAsync(GPUMapMode.READ);
  const bytes = staging.getMappedRange().slice(0);
  return parts.map((part) => {
    const at = (name: string): Pick<Place, 'offset' | 'size'> => {
      const place = part.get(name);
      if (place === undefined) throw new Error(`there is no result ${name}`);
      return place;
    };
    return {
      floats: (name) => new Float32Array(bytes, at(name).offset, at(name).size / 4),
      words: (name) => new Uint32Array(bytes, at(name).offset, at(name).size / 4),
    };
  });
}
