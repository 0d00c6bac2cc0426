import { expand, type TemplateValues } from './expand.ts';

/** One WGSL file: its path under `shaders/`, for messages, and its text; where it is a template, also its values. */
export interface ShaderModule {
  readonly path: string;
  readonly text: string;
  readonly values?: TemplateValues;
}

/** A module of constants, for what WGSL will not take from a pipeline: the sizes of storage arrays. */
export function constants(name: string, values: Readonly<Record<string, number>>): ShaderModule {
  const lines = Object.entries(values).map(([key, value]) => `const ${key} = ${value}u;`);
  return { path: `${name}(${Object.values(values).join(' ')})`, text: lines.join('\n') };
}

/** Linked WGSL, and where its lines come from. */
export interface LinkedShader {
  readonly code: string;
  /** The file and line that `line` of `code` (from 1) comes from, as `path:line`. */
  locate(line: number): string;
}

const ENABLE = /^enable [\w, ]+;$/;

/**
 * Joins WGSL files into one shader. WGSL module scope is order-free, so this is concatenation, with the `enable`
 * directives, which must stand first, moved to the top. Templates are expanded first.
 */
export function link(modules: readonly ShaderModule[]): LinkedShader {
  const enables = new Set<string>();
  const lines: string[] = [];
  const origins: string[] = [];
  for (const module of modules) {
    const { path } = module;
    for (const { text: code, line } of expanded(module)) {
      const directive = ENABLE.test(code);
      if (directive) enables.add(code);
      lines.push(directive ? '' : code);
      origins.push(`${path}:${line}`);
    }
  }
  return {
    code: [...enables, ...lines].join('\n'),
    locate: (line) => origins[line - 1 - enables.size] ?? 'enable directives',
  };
}

function expanded({ path, text, values = {} }: ShaderModule) {
  try {
    return expand(text, values);
  } catch (cause) {
    throw new Error(`${path}, ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}
