import type { Numerics } from '../../src/core/numerics.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { type Op, OpBuilder, type StepShape } from '../../src/gpu/op.ts';
import { multiplyAdd } from '../../src/kernels/shaders.ts';
import { sharedGpu } from './shared-gpu.ts';

/** The initial value of every word of an output: a NaN with a pattern that no kernel writes. */
export const POISON = 0x7fdeadbe;
/** Poisoned words behind every output, bound with it: a kernel that writes too far is seen. */
const GUARD_WORDS = 64;

/** A buffer that a kernel writes. */
export interface Output {
  readonly buffer: GPUBuffer;
  readonly words: number;
  /** Its content before each run. @default poison */
  readonly before: Uint32Array<ArrayBuffer>;
}

/** An output after a run: the same words, read as integers and as floats. */
export interface Result {
  readonly bits: Uint32Array<ArrayBuffer>;
  readonly floats: Float32Array<ArrayBuffer>;
}

/** Runs ops on their own, on the file's shared device; each variant is compiled once for a test file. */
export class KernelLab {
  readonly gpu: Gpu;
  readonly builder: OpBuilder;
  /** Uniforms that hold the step's tokens and samples while it runs. */
  readonly rowCount: GPUBuffer;
  readonly sampleCount: GPUBuffer;
  #buffers: GPUBuffer[] = [];

  private constructor(gpu: Gpu, isSoftware: boolean) {
    this.gpu = gpu;
    this.builder = new OpBuilder(gpu.device, { common: [multiplyAdd({ isSoftware })] });
    const usage = GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST;
    this.rowCount = gpu.device.createBuffer({ size: 16, usage });
    this.sampleCount = gpu.device.createBuffer({ size: 16, usage });
  }

  /** @param isSoftware which kind of adapter's arithmetic the kernels have. @default the adapter's own */
  static async open(numerics?: Numerics, isSoftware?: boolean): Promise<KernelLab> {
    const gpu = await sharedGpu(numerics);
    return new KernelLab(gpu, isSoftware ?? gpu.adapter.isSoftware);
  }

  /** A buffer holding these numbers. */
  input(data: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>): GPUBuffer {
    const buffer = this.#create(data.byteLength);
    this.gpu.device.queue.writeBuffer(buffer, 0, data);
    return buffer;
  }

  /** A poisoned buffer of `words` words and a guard behind them. */
  output(words: number): Output {
    const before = new Uint32Array(words + GUARD_WORDS).fill(POISON);
    return { buffer: this.#create(before.byteLength), words, before };
  }

  /** A buffer that is read and written, holding these numbers before each run. */
  inOut(data: Float32Array<ArrayBuffer>): Output {
    const output = this.output(data.length);
    new Float32Array(output.before.buffer).set(data);
    return output;
  }

  /** Overwrites the start of an input. */
  write(buffer: GPUBuffer, data: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>): void {
    this.gpu.device.queue.writeBuffer(buffer, 0, data);
  }

  /**
   * Resets the outputs, runs the ops in order in one pass as a step does, and reads the outputs back.
   *
   * @throws Error where WebGPU finds fault, or where a guard was overwritten.
   */
  async run(ops: readonly Op[], step: Partial<StepShape>, outputs: readonly Output[]): Promise<Result[]> {
    await this.builder.ready();
    const { device } = this.gpu;
    const noNeeds = { biased: 0, penalised: 0, filtered: 0, topK: 0, topP: 0, contextTokens: 0, attendedTokens: 0 };
    const nothing = { tokens: 0, samples: 0, maxContext: 1, singles: 0, tiles: 0 };
    const shape: StepShape = { ...nothing, ...noNeeds, ...step };
    device.pushErrorScope('validation');
    device.queue.writeBuffer(this.rowCount, 0, new Uint32Array([shape.tokens]));
    device.queue.writeBuffer(this.sampleCount, 0, new Uint32Array([shape.samples]));
    for (const { buffer, before } of outputs) device.queue.writeBuffer(buffer, 0, before);
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (const op of ops) {
      pass.setPipeline(op.pipeline(shape));
      pass.setBindGroup(0, op.bindGroup);
      pass.dispatchWorkgroups(...op.grid(shape));
    }
    pass.end();
    const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
    const stagings = outputs.map(({ buffer }) => device.createBuffer({ size: buffer.size, usage }));
    for (const [i, { buffer }] of outputs.entries()) {
      const staging = stagings[i];
      if (staging !== undefined) encoder.copyBufferToBuffer(buffer, 0, staging, 0, buffer.size);
    }
    device.queue.submit([encoder.finish()]);
    const fault = await device.popErrorScope();
    if (fault !== null) throw new Error(fault.message);
    return Promise.all(stagings.map((staging, i) => readBack(staging, outputs[i]?.words ?? 0)));
  }

  /** Frees the buffers made so far; pipelines stay. */
  clear(): void {
    for (const buffer of this.#buffers.splice(0)) buffer.destroy();
  }

  close(): void {
    this.clear();
    this.rowCount.destroy();
    this.sampleCount.destroy();
  }

  #create(bytes: number): GPUBuffer {
    const { STORAGE, UNIFORM, COPY_DST, COPY_SRC } = GPUBufferUsage;
    const usage = STORAGE | UNIFORM | COPY_DST | COPY_SRC;
    const buffer = this.gpu.device.createBuffer({ size: Math.max(16, Math.ceil(bytes / 16) * 16), usage });
    this.#buffers.push(buffer);
    return buffer;
  }
}

async function readBack(staging: GPUBuffer, words: number): Promise<Result> {
  await staging.mapAsync(GPUMapMode.READ);
  const all = new Uint32Array(staging.getMappedRange().slice(0));
  staging.destroy();
  const guard = all.subarray(words, words + GUARD_WORDS);
  const broken = guard.findIndex((word) => word !== POISON);
  if (broken >= 0) throw new Error(`word ${words + broken} was written, behind an output of ${words} words`);
  const bits = all.slice(0, words);
  return { bits, floats: new Float32Array(bits.buffer) };
}

/** The first place where two outputs' bits differ, in words for a test's message; undefined where none does. */
export function firstDifference(a: Result, b: Result, length = a.bits.length): string | undefined {
  for (let i = 0; i < length; i++) {
    if (a.bits[i] !== b.bits[i]) return `word ${i}: ${a.floats[i]} and ${b.floats[i]}`;
  }
  return undefined;
}

/** The first of some words that is not poison any more. */
export function firstWritten(result: Result, from = 0, to = result.bits.length): string | undefined {
  const at = result.bits.subarray(from, to).findIndex((word) => word !== POISON);
  return at < 0 ? undefined : `word ${from + at} was written: ${result.floats[from + at]}`;
}

/** A number that a kernel should come near. */
export interface Expected {
  readonly value: number;
  /** How far rounding alone may take it: a bound, derived beside each reference. */
  readonly error: number;
}

/** Numbers that are what they are. */
export function exactly(values: ArrayLike<number>): Expected[] {
  return Array.from(values, (value) => ({ value, error: 0 }));
}

/** The first float that is further from its expectation than rounding explains. */
export function firstWrong(floats: Float32Array, expected: readonly Expected[], offset = 0): string | undefined {
  for (const [i, { value, error }] of expected.entries()) {
    const actual = floats[offset + i] ?? NaN;
    if (!(Math.abs(actual - value) <= error)) return `element ${offset + i}: ${actual}, not ${value} (± ${error})`;
  }
  return undefined;
}
