export interface FoundAdapter {
  readonly adapter: GPUAdapter;
  /** Whether it has WebGPU's compatibility mode only, with lower limits. */
  readonly isCompatibility: boolean;
}

/**
 * The browser's core adapter, or where it has none, one of WebGPU's compatibility mode, which runs on OpenGL ES 3.1 and D3D11;
 * undefined where it has neither.
 */
export async function requestAdapter(gpu: Pick<GPU, 'requestAdapter'>): Promise<FoundAdapter | undefined> {
  for (const featureLevel of ['core', 'compatibility'] as const) {
    const adapter = await gpu.requestAdapter({ featureLevel, powerPreference: 'high-performance' });
    // A browser that does not know feature levels answers the second request as the first: with nothing.
    if (adapter !== null) return { adapter, isCompatibility: featureLevel === 'compatibility' };
  }
  return undefined;
}
