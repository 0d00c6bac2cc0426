/** One WGSL file: its path under `shaders/`, for messages, and its text. */
export interface ShaderModule {
  readonly path: string;
  readonly text: string;
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
 * directives, which must stand first, moved to the top.
 */
export function link(modules: readonly ShaderModule[]): LinkedShader {
  const enables = new Set<string>();
  const lines: string[] = [];
  const origins: string[] = [];
  for (const { path, text } of modules) {
    for (const [index, line] of text.split('\n').entries()) {
      const directive = ENABLE.test(line);
      if (directive) enables.add(line);
      lines.push(directive ? '' : line);
      origins.push(`${path}:${index + 1}`);
    }
  }
  return {
    code: [...enables, ...lines].join('\n'),
    locate: (line) => origins[line - 1 - enables.size] ?? 'enable directives',
  };
}
