import { expect, test } from 'vitest';
import { WgslReflect } from 'wgsl_reflect/wgsl_reflect.module.js';
import { link } from '../../../src/gpu/link.ts';
import { kernelVariants } from '../../support/kernel-variants.ts';
import { listFiles } from '../structure/source-graph.ts';

const VARIANTS = kernelVariants().map(({ spec, modules }) => ({
  title: `${spec.name}: ${modules.map(({ path, values }) => path + JSON.stringify(values ?? '')).join(' ')}`,
  spec,
  modules,
}));

/** wgsl_reflect 1.6 does not parse all expressions; what is declared stands outside functions. */
function withoutBodies(code: string): string {
  let result = '';
  let inFunction = false;
  let depth = 0;
  for (const part of code.replace(/\/\/[^\n]*/g, '').split(/(\bfn\b|[{}])/)) {
    if (part === 'fn') inFunction = true;
    if (part === '}') depth--;
    if (!inFunction || depth === 0) result += part;
    if (part === '{') depth++;
    if (part === '}' && depth === 0) inFunction = false;
  }
  return result;
}

const camelCase = (name: string): string => name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());

/** What WGSL calls a buffer's use; a uniform has no access of its own. */
const ACCESS = { 'storage read': 'read', 'storage read_write': 'read_write', 'uniform ': 'uniform' } as const;

test.each(VARIANTS)('$title declares what TypeScript says', ({ spec, modules }) => {
  const { code } = link(modules);
  const reflected = new WgslReflect(withoutBodies(code));
  const groups = reflected.getBindGroups();
  expect(groups.length).toBe(1);
  const bindings = (groups[0] ?? []).map((variable) => {
    const declared = new RegExp(`var<\\s*(\\w+)\\s*(?:,\\s*(\\w+)\\s*)?>\\s+${variable.name}\\b`).exec(code);
    const key = `${declared?.[1]} ${declared?.[2] ?? ''}`;
    return [variable.binding, camelCase(variable.name), ACCESS[key as keyof typeof ACCESS] ?? key];
  });
  expect(bindings).toEqual(Object.entries(spec.bindings).map(([name, access], binding) => [binding, name, access]));
  expect(reflected.overrides.map(({ name }) => name).toSorted()).toEqual([...spec.overrides].toSorted());
  expect(reflected.entry.compute.map(({ name }) => name)).toEqual(['main']);
});

test.each(VARIANTS)('$title fits WebGPU’s default limits', ({ spec }) => {
  const accesses = Object.values(spec.bindings);
  expect(accesses.filter((access) => access !== 'uniform').length).toBeLessThanOrEqual(8);
});

test('every shader file is part of a variant', () => {
  const linked = new Set(VARIANTS.flatMap(({ modules }) => modules.flatMap((module) => [module, ...Object.values(module.includes ?? {})])).map(({ path }) => path));
  expect(listFiles('shaders', '.wgsl').filter((file) => !linked.has(file))).toEqual([]);
});

test('only the files that say so need an optional feature', () => {
  const needing = VARIANTS.filter(({ modules }) => link(modules).code.startsWith('enable'));
  const optional = ['quad-probe', 'f16-probe', 'probe/f16', 'quads/subgroup', 'lanes/one-quad', '"SUBGROUPS":true', 'dot/f16'];
  for (const { title } of needing) expect(optional.some((part) => title.includes(part)), title).toBe(true);
});
