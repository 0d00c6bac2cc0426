import { expand } from './expand.ts';

/** One WGSL file: its path under `shaders/`, for messages, and its text. */
export interface ShaderModule {
  readonly path: string;
  readonly text: string;
  /** How often its `#for` lines repeat what is between them and `#end`; see {@link expand}. */
  readonly counts?: Readonly<Record<string, number>>;
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
 * directives, which must stand first, moved to the top, and `#for` loops expanded.
 */
export function link(modules: readonly ShaderModule[]): LinkedShader {
  const enables = new Set<string>();
  const lines: string[] = [];
  const origins: string[] = [];
  for (const { path, text, counts = {} } of modules) {
    for (const { text: code, line } of expand(text, counts)) {
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
