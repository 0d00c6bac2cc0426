import { TabserveError } from '../core/errors.ts';
import { type Contain, uncontained } from './contain.ts';
import { link, type ShaderModule } from './link.ts';

/** How a kernel uses a buffer. */
export type Access = 'read' | 'read_write' | 'uniform';

/**
 * The declarations of a kernel's WGSL as one literal: its bindings in `@binding` order and its `override` constants. A
 * test reflects every variant's WGSL and compares.
 */
export interface KernelSpec<B extends Readonly<Record<string, Access>>, O extends readonly string[]> {
  readonly name: string;
  readonly bindings: B;
  readonly overrides: O;
}

/** A whole buffer, or a range of one (`offset` a multiple of 256). */
export type BufferRange = GPUBuffer | { readonly buffer: GPUBuffer; readonly offset: number; readonly size: number };

/** The buffers of a kernel, by name. */
export type Buffers<S> =
  S extends KernelSpec<infer B, readonly string[]> ? { readonly [name in keyof B]: BufferRange } : never;

/** The values of a kernel's override constants. */
export type Overrides<S> =
  S extends KernelSpec<Readonly<Record<string, Access>>, infer O>
    ? { readonly [name in O[number]]: number | boolean }
    : never;

/** Keeps the literal types of a kernel's declaration. */
export function defineKernel<const B extends Readonly<Record<string, Access>>, const O extends readonly string[]>(
  spec: KernelSpec<B, O>,
): KernelSpec<B, O> {
  return spec;
}

const BUFFER_TYPE = { read: 'read-only-storage', read_write: 'storage', uniform: 'uniform' } as const;

/** The bind group layout that all variants of a kernel share. */
export function bindGroupLayout(
  device: GPUDevice,
  spec: KernelSpec<Readonly<Record<string, Access>>, readonly string[]>,
): GPUBindGroupLayout {
  return device.createBindGroupLayout({
    label: spec.name,
    entries: Object.values(spec.bindings).map((access, binding) => ({
      binding,
      visibility: GPUShaderStage.COMPUTE,
      buffer: { type: BUFFER_TYPE[access] },
    })),
  });
}

/**
 * Compiles one variant.
 *
 * @throws TabserveError `internal` with the compiler's messages, each with its file and line.
 */
export async function compile(
  device: GPUDevice,
  name: string,
  layout: GPUBindGroupLayout,
  modules: readonly ShaderModule[],
  overrides: Readonly<Record<string, number | boolean>>,
  contain: Contain = uncontained,
): Promise<GPUComputePipeline> {
  const linked = link(modules);
  const constants = Object.fromEntries(Object.entries(overrides).map(([key, value]) => [key, Number(value)]));
  const { module, compiling } = contain(() => {
    const module = device.createShaderModule({ label: name, code: linked.code });
    const compiling = device.createComputePipelineAsync({
      label: name,
      layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module, entryPoint: 'main', constants },
    });
    return { module, compiling };
  });
  try {
    return await compiling;
  } catch (cause) {
    const { messages } = await module.getCompilationInfo();
    const errors = messages.filter((message) => message.type === 'error');
    const where = errors.map((message) => `${linked.locate(message.lineNum)}: ${message.message}`);
    const detail = where.length > 0 ? where.join('\n') : String(cause);
    throw new TabserveError('internal', `The kernel ${name} does not compile:\n${detail}`, { cause });
  }
}
