import type { DispatchProfile, StepProfile } from '../../src/index.ts';

/** The kind of a kernel, for its colour. */
export const KERNEL_KINDS = ['matmul', 'attention', 'norm', 'rope', 'sampling', 'other'] as const;
export type KernelKind = (typeof KERNEL_KINDS)[number];

/** A part of a step: the step itself, a layer or what stands outside of them, a dispatch. */
export interface FlameNode {
  /** Its place: `0`, then `0.3`, then `0.3.1`. */
  readonly key: string;
  readonly label: string;
  /** The kernel's, of a dispatch. */
  readonly kind: KernelKind | undefined;
  /** Milliseconds from the step's begin, and how many it takes. */
  readonly start: number;
  readonly ms: number;
  readonly children: readonly FlameNode[];
}

/** By what its name says; fused kernels are of the kind that takes most of their time. */
const NAMES: readonly (readonly [RegExp, KernelKind])[] = [
  [/attention/, 'attention'],
  [/matmul|gemv|gemm|project|qkv|gate|down/, 'matmul'],
  [/sampl|filter|penalt|logit/, 'sampling'],
  [/norm/, 'norm'],
  [/rope|kv/, 'rope'],
];

export function kindOf(kernel: string): KernelKind {
  return NAMES.find(([pattern]) => pattern.test(kernel))?.[1] ?? 'other';
}

/** A step as a tree, laid out from left to right in the order in which its dispatches run. */
export function flameOf({ dispatches }: Pick<StepProfile, 'dispatches'>): FlameNode {
  const groups: { readonly layer: number | undefined; readonly members: DispatchProfile[] }[] = [];
  for (const dispatch of dispatches) {
    const last = groups.at(-1);
    if (last !== undefined && last.layer === dispatch.layer) last.members.push(dispatch);
    else groups.push({ layer: dispatch.layer, members: [dispatch] });
  }
  let start = 0;
  const children = groups.map(({ layer, members }, i): FlameNode => {
    const begin = start;
    const parts = members.map(({ name, ms }, j): FlameNode => {
      const node = { key: `0.${i}.${j}`, label: name, kind: kindOf(name), start, ms, children: [] };
      start += ms;
      return node;
    });
    const label = layer === undefined ? (i === 0 ? 'Input' : 'Output') : `Layer ${layer + 1}`;
    return { key: `0.${i}`, label, kind: undefined, start: begin, ms: start - begin, children: parts };
  });
  return { key: '0', label: 'Step', kind: undefined, start: 0, ms: start, children };
}

/** A node and all below it, above before below. */
export function flatten(node: FlameNode): readonly FlameNode[] {
  return [node, ...node.children.flatMap(flatten)];
}

/** The node's, the step's being 0. */
export function depthOf({ key }: Pick<FlameNode, 'key'>): number {
  return key.split('.').length - 1;
}

const isWithin = (key: string, ancestor: string): boolean => key === ancestor || key.startsWith(`${ancestor}.`);

/** Where a node lies when `zoomed` fills the width, in shares of it; undefined outside. Those above it fill it, too. */
export function placeIn(node: FlameNode, zoomed: FlameNode): { readonly left: number; readonly width: number } | undefined {
  if (isWithin(zoomed.key, node.key)) return { left: 0, width: 1 };
  if (!isWithin(node.key, zoomed.key) || zoomed.ms === 0) return undefined;
  return { left: (node.start - zoomed.start) / zoomed.ms, width: node.ms / zoomed.ms };
}

/** The key of the node that an arrow key leads to from one that is shown; undefined where there is none. */
export function neighbour(shown: readonly FlameNode[], from: string, arrow: string): string | undefined {
  if (arrow === 'ArrowUp') return shown.find(({ key }) => key === from.split('.').slice(0, -1).join('.'))?.key;
  if (arrow === 'ArrowDown') return shown.find(({ key }) => key.startsWith(`${from}.`))?.key;
  const row = shown.filter((node) => depthOf(node) === depthOf({ key: from }));
  const at = row.findIndex(({ key }) => key === from);
  if (arrow === 'ArrowRight') return row[at + 1]?.key;
  return arrow === 'ArrowLeft' ? row[at - 1]?.key : undefined;
}
