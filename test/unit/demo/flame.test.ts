import { expect, test } from 'vitest';
import { depthOf, flameOf, flatten, kindOf, neighbour, placeIn, type FlameNode } from '../../../demo/src/flame.ts';

const STEP = flameOf({
  dispatches: [
    { name: 'embed', layer: undefined, ms: 1 },
    { name: 'rms-norm', layer: 0, ms: 1 },
    { name: 'matmul-int4-64x64', layer: 0, ms: 3 },
    { name: 'attention', layer: 1, ms: 2 },
    { name: 'silu-mul', layer: 1, ms: 0 },
    { name: 'sample-final', layer: undefined, ms: 3 },
  ],
});
const nodes = flatten(STEP);
const node = (label: string): FlameNode => {
  const found = nodes.find((each) => each.label === label);
  if (found === undefined) throw new Error(`There is no ${label}.`);
  return found;
};

test('a step is made of layers and what stands around them, and those of dispatches, end to end', () => {
  expect(STEP).toMatchObject({ label: 'Step', start: 0, ms: 10 });
  expect(STEP.children.map(({ label, start, ms }) => [label, start, ms])).toEqual([
    ['Input', 0, 1], ['Layer 1', 1, 4], ['Layer 2', 5, 2], ['Output', 7, 3],
  ]);
  expect(node('Layer 1').children.map(({ label, kind, start }) => [label, kind, start])).toEqual([
    ['rms-norm', 'norm', 1], ['matmul-int4-64x64', 'matmul', 2],
  ]);
  expect(nodes.map(depthOf)).toEqual([0, 1, 2, 1, 2, 2, 1, 2, 2, 1, 2]);
  expect(new Set(nodes.map(({ key }) => key)).size).toBe(nodes.length);
});

test('what is zoomed into fills the width, as does what is above it; what is beside it is not there', () => {
  expect(placeIn(node('attention'), STEP)).toEqual({ left: 0.5, width: 0.2 });
  const layer = node('Layer 1');
  expect(placeIn(layer, layer)).toEqual({ left: 0, width: 1 });
  expect(placeIn(STEP, layer)).toEqual({ left: 0, width: 1 });
  expect(placeIn(node('matmul-int4-64x64'), layer)).toEqual({ left: 0.25, width: 0.75 });
  expect(placeIn(node('attention'), layer)).toBeUndefined();
  expect(placeIn(node('Layer 2'), layer)).toBeUndefined();
  const none = flameOf({ dispatches: [{ name: 'a', layer: 0, ms: 0 }] });
  expect(flatten(none).map((each) => placeIn(each, none))).toEqual([{ left: 0, width: 1 }, undefined, undefined]);
});

test('arrow keys lead to what is beside, above and below, and nowhere else', () => {
  const go = (label: string, arrow: string): string | undefined => {
    const key = neighbour(nodes, node(label).key, arrow);
    return nodes.find((each) => each.key === key)?.label;
  };
  expect(go('Step', 'ArrowDown')).toBe('Input');
  expect(go('Layer 1', 'ArrowRight')).toBe('Layer 2');
  expect(go('Layer 1', 'ArrowLeft')).toBe('Input');
  expect(go('matmul-int4-64x64', 'ArrowRight')).toBe('attention');
  expect(go('matmul-int4-64x64', 'ArrowUp')).toBe('Layer 1');
  for (const [label, arrow] of [['Step', 'ArrowUp'], ['Input', 'ArrowLeft'], ['Output', 'ArrowRight'], ['embed', 'ArrowDown'], ['embed', 'Home']]) {
    expect(go(label ?? '', arrow ?? '')).toBeUndefined();
  }
});

test('a kernel’s colour says what it does', () => {
  expect(['attention-merge', 'matmul-int8-9x9', 'rms-norm', 'rope-kv-write', 'filter-pick (mass)', 'embed'].map(kindOf)).toEqual([
    'attention', 'matmul', 'norm', 'rope', 'sampling', 'other',
  ]);
});
