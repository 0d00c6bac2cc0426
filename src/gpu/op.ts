import { yieldToEventLoop } from '../core/yield-to-event-loop.ts';
import { type Contain, uncontained } from './contain.ts';
import { type OpBuffers, type Variant, VariantSet, type VariantSetOptions } from './variant-set.ts';
import { type Access, type Buffers, bindGroupLayout, compile, type KernelSpec, type Overrides } from './kernel.ts';
import type { ShaderModule } from './link.ts';

/** The inputs of the grids of a step's dispatches. */
export interface StepShape {
  /** Tokens of the step, over all requests. */
  readonly tokens: number;
  /** Tokens whose logits are sampled. */
  readonly samples: number;
  /**
   * The numbers of samples with a logit_bias, penalties, any filter, top_k, top_p. Where one is 0, its ops have no
   * work.
   */
  readonly biased: number;
  readonly penalised: number;
  readonly filtered: number;
  readonly topK: number;
  readonly topP: number;
  /** The longest context that one of the tokens attends to, itself included. */
  readonly maxContext: number;
  /**
   * Tokens that are attended to: of each request once, and of each token of the step. Only the costs of ops depend on
   * them.
   */
  readonly contextTokens: number;
  readonly attendedTokens: number;
  /** The work of attention: tokens alone in their request, and tiles of several tokens of one request. */
  readonly singles: number;
  readonly tiles: number;
}

/** The least work of an op: bytes to move once, and arithmetic. */
export interface OpCost {
  readonly bytes: number;
  /** Multiply-adds. */
  readonly macs: number;
}

export type Grid = readonly [x: number, y: number, z: number];

/** A kernel bound to its buffers: one dispatch of every step. Steps create nothing. */
export interface Op {
  readonly name: string;
  readonly bindGroup: GPUBindGroup;
  pipeline(step: StepShape): GPUComputePipeline;
  /** Zero workgroups where there is no work in this step. */
  grid(step: StepShape): Grid;
  /** For profiles. */
  cost?(step: StepShape): OpCost;
  /** The decoder's layer that it belongs to, from 0. */
  readonly layer?: number;
}

type AnySpec = KernelSpec<Readonly<Record<string, Access>>, readonly string[]>;

/** The kernel of an op, and its buffers by binding. */
export interface BoundKernel {
  readonly spec: AnySpec;
  readonly buffers: OpBuffers;
}

export interface OpBuilderOptions {
  /** Reports WebGPU errors. @default the device's own listeners do */
  readonly contain?: Contain;
  /** Linked into every kernel. @default none */
  readonly common?: readonly ShaderModule[];
}

/** Makes ops: compiles each distinct variant once, all of them in parallel, and creates every bind group up front. */
export class OpBuilder {
  readonly device: GPUDevice;
  /** Reports WebGPU errors of its calls. */
  readonly contain: Contain;
  bindGroupsCreated = 0;
  readonly #bound = new Map<GPUBindGroup, BoundKernel>();
  readonly #layouts = new Map<string, GPUBindGroupLayout>();
  readonly #pipelines = new Map<string, Promise<GPUComputePipeline>>();
  readonly #compiled = new Map<string, GPUComputePipeline>();
  readonly #variantSets = new Map<string, VariantSet>();
  readonly #common: readonly ShaderModule[];

  constructor(device: GPUDevice, { contain = uncontained, common = [] }: OpBuilderOptions = {}) {
    this.device = device;
    this.contain = contain;
    this.#common = common;
  }

  /** Registers a variant; the key is for {@link pipeline} after {@link ready}. */
  variant<S extends AnySpec>(spec: S, own: readonly ShaderModule[], overrides: Overrides<S>): string {
    const modules = [...own, ...this.#common];
    const values: Readonly<Record<string, number | boolean>> = overrides;
    const key = variantKey(spec, modules, values);
    if (!this.#pipelines.has(key)) {
      const layout = this.#layout(spec);
      const pipeline = yieldToEventLoop().then(() => compile(this.device, key, layout, modules, values, this.contain));
      pipeline.catch(() => {}); // reported by ready()
      this.#pipelines.set(key, pipeline);
    }
    return key;
  }

  /**
   * The set that all ops with the same initial variant share, for one number of tokens. Its key is that variant's, and
   * the same at the next load.
   */
  variantSet<Detail>(options: VariantSetOptions<Detail>): VariantSet<Detail> {
    const { spec, initial } = options;
    const linked = (modules: readonly ShaderModule[]): readonly ShaderModule[] => [...modules, ...this.#common];
    const key = variantKey(spec, linked(initial.modules), initial.overrides);
    const known = this.#variantSets.get(key);
    if (known !== undefined) return known as VariantSet<Detail>;
    const layout = this.#layout(spec);
    const variantSet = new VariantSet<Detail>(
      key,
      options,
      ({ modules: own, overrides }) => {
        const modules = linked(own);
        return compile(this.device, variantKey(spec, modules, overrides), layout, modules, overrides);
      },
    );
    this.#variantSets.set(key, variantSet as VariantSet);
    return variantSet;
  }

  /** All sets so far, in the order of a step. */
  get variantSets(): readonly VariantSet[] {
    return [...this.#variantSets.values()];
  }

  /** The buffers of one op. */
  bind<S extends AnySpec>(spec: S, buffers: Buffers<S>): GPUBindGroup {
    this.bindGroupsCreated++;
    const bindGroup = this.bindApart(spec, buffers);
    this.#bound.set(bindGroup, { spec, buffers });
    return bindGroup;
  }

  /** The kernel and the buffers of an op that this builder has made. */
  boundKernel({ bindGroup }: Pick<Op, 'bindGroup'>): BoundKernel {
    const bound = this.#bound.get(bindGroup);
    if (bound === undefined) throw new Error('the op is another builder’s');
    return bound;
  }

  /** Bind groups that are not part of steps, and not counted. */
  bindApart(spec: AnySpec, buffers: OpBuffers): GPUBindGroup {
    const layout = this.#layout(spec);
    const entries = Object.keys(spec.bindings).map((name, binding) => ({ binding, resource: resourceOf(buffers[name], name) }));
    return this.contain(() => this.device.createBindGroup({ label: spec.name, layout, entries }));
  }

  /** A compiled variant. Only after {@link ready}. */
  pipeline(key: string): GPUComputePipeline {
    const pipeline = this.#compiled.get(key);
    if (pipeline === undefined) throw new Error(`${key} is not compiled: await ready() first`);
    return pipeline;
  }

  /** Waits for every variant registered so far, but for deferred sets. @throws TabserveError where one does not compile. */
  async ready(): Promise<void> {
    for (const [key, pipeline] of this.#pipelines) this.#compiled.set(key, await pipeline);
    for (const variantSet of this.#variantSets.values()) if (variantSet.options.isDeferred !== true) await variantSet.ready();
  }

  #layout(spec: AnySpec): GPUBindGroupLayout {
    const known = this.#layouts.get(spec.name);
    if (known !== undefined) return known;
    const layout = this.contain(() => bindGroupLayout(this.device, spec));
    this.#layouts.set(spec.name, layout);
    return layout;
  }
}

/** The inputs of a compiled variant. */
function variantKey({ name }: AnySpec, modules: readonly ShaderModule[], overrides: Variant['overrides']): string {
  const files = modules.map(({ path, values, includes = {} }) => {
    const paths = [path, ...Object.values(includes).map((included) => included.path)];
    return `${paths.join(' ')}${values ? JSON.stringify(values) : ''}`;
  });
  return `${name} ${files.join(' ')} ${JSON.stringify(overrides)}`;
}

function resourceOf(range: GPUBindingResource | GPUBuffer | undefined, name: string): GPUBindingResource {
  if (range === undefined) throw new Error(`no buffer for ${name}`);
  return range instanceof GPUBuffer ? { buffer: range } : range;
}
