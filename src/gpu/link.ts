import { expand, type Includes, type TemplateValues } from './expand.ts';

/**
 * One WGSL file: its path under `shaders/`, for messages, its text, and if it is a template the values of its directives and
 * the files that it includes.
 */
export interface ShaderModule {
  readonly path: string;
  readonly text: string;
  readonly values?: TemplateValues;
  readonly includes?: Includes;
}

/** A module of constants, for values that WGSL cannot take as overrides: the sizes of storage arrays. */
export function constants(name: string, values: Readonly<Record<string, number>>): ShaderModule {
  const lines = Object.entries(values).map(([key, value]) => `const ${key} = ${value}u;`);
  return { path: `${name}(${Object.values(values).join(' ')})`, text: lines.join('\n') };
}

/** Linked WGSL, with the source of each line. */
export interface LinkedShader {
  readonly code: string;
  /** The file and line that `line` of `code` (from 1) comes from, as `path:line`. */
  locate(line: number): string;
}

const ENABLE = /^enable [\w, ]+;$/;

/**
 * Joins WGSL files into one shader. WGSL's module scope has no order, so this expands templates and concatenates, and
 * moves the `enable` directives to the top, where WGSL requires them.
 */
export function link(modules: readonly ShaderModule[]): LinkedShader {
  const enables = new Set<string>();
  const lines: string[] = [];
  const origins: string[] = [];
  for (const module of modules) {
    const { path } = module;
    for (const { text: code, line, path: from = path } of expanded(module)) {
      const directive = ENABLE.test(code);
      if (directive) enables.add(code);
      lines.push(directive ? '' : code);
      origins.push(`${from}:${line}`);
    }
  }
  return {
    code: [...enables, ...lines].join('\n'),
    locate: (line) => origins[line - 1 - enables.size] ?? 'enable directives',
  };
}

function expanded({ path, text, values = {}, includes = {} }: ShaderModule) {
  try {
    return expand(text, values, includes);
  } catch (cause) {
    throw new Error(`${path}, ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}
