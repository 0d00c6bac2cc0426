import type { ShaderModule } from '../gpu/link.ts';

const texts: Readonly<Record<string, string>> = import.meta.glob('../../shaders/**/*.wgsl', {
  query: '?raw',
  import: 'default',
  eager: true,
});

/**
 * The multiply-add of every kernel, where its rounding matters. A model's kernels round alike only if all have the same one.
 */
export function multiplyAdd({ isSoftware }: { readonly isSoftware: boolean }): ShaderModule {
  return shader(`multiply-add/${isSoftware ? 'separate' : 'fused'}`);
}

/** A WGSL file by its path under `shaders/`, without the extension. */
export function shader(path: string): ShaderModule {
  const text = texts[`../../shaders/${path}.wgsl`];
  if (text === undefined) throw new Error(`there is no shaders/${path}.wgsl`);
  return { path: `shaders/${path}.wgsl`, text };
}
