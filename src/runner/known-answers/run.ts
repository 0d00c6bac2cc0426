import { runCooperatively, type Task } from '../../core/cooperative-task.ts';
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
 * @throws TabserveError `device_lost`, `out_of_memory`, or `internal` where the GPU reports an error
 */
export async function findWrongKernel(gpu: Gpu, model: TestedModel): Promise<WrongKernel | undefined> {
  const answers = knownAnswers(model);
  const results = await containErrors(gpu, (contain) => readBack(contain(() => submit(gpu.device, answers))));
  return runCooperatively(firstWrong(answers, results));
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

/** The results of all answers, still on the GPU. */
interface Submitted {
  readonly staging: GPUBuffer;
  /** By answer: the start and the size of each result. */
  readonly parts: readonly ReadonlyMap<string, Pick<Place, 'offset' | 'size'>>[];
}

function submit(device: GPUDevice, answers: readonly KnownAnswer[]): Submitted {
  const { COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
  const sizeOf = (sizes: readonly number[]): number => Math.max(4, sizes.reduce((sum, size) => sum + size, 0));
  const inputSize = sizeOf(answers.flatMap(({ writes }) => writes.map(({ data }) => data.byteLength)));
  const outputSize = sizeOf(answers.flatMap(({ reads }) => Object.values(reads).map(({ size }) => size)));
  const inputs = device.createBuffer({ label: 'known inputs', size: inputSize, usage: COPY_SRC, mappedAtCreation: true });
  const staging = device.createBuffer({ label: 'known answers', size: outputSize, usage: COPY_DST | MAP_READ });
  const mapped = new Uint8Array(inputs.getMappedRange());
  const encoder = device.createCommandEncoder();
  const cleared: Place[] = [];
  let [input, output] = [0, 0];
  const parts = answers.map(({ writes, dispatches, reads, follows = false }) => {
    const own = Object.values(reads).filter(({ isKept = false }) => !isKept).map(placeOfRead);
    if (!follows) clear(encoder, own);
    cleared.push(...own);
    for (const { to, offset = 0, data } of writes) {
      const place = placeOf(to, offset, data.byteLength);
      mapped.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), input);
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
  inputs.unmap();
  device.queue.submit([encoder.finish()]);
  inputs.destroy(); // when the GPU is done with it
  return { staging, parts };
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

async function readBack({ staging, parts }: Submitted): Promise<readonly Results[]> {
  try {
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
  } finally {
    staging.destroy();
  }
}
