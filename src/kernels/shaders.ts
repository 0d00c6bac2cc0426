import type { ShaderModule } from '../gpu/link.ts';

const texts: Readonly<Record<string, string>> = import.meta.glob('../../shaders/**/*.wgsl', {
  query: '?raw',
  import: 'default',
  eager: true,
});

/** A WGSL file by its path under `shaders/`, without the extension. */
export function shader(path: string): ShaderModule {
  const text = texts[`../../shaders/${path}.wgsl`];
  if (text === undefined) throw new Error(`there is no shaders/${path}.wgsl`);
  return { path: `shaders/${path}.wgsl`, text };
}
