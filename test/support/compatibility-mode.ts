declare module 'vitest' {
  interface ProvidedContext {
    /** Whether the GPU tests run in WebGPU's compatibility mode: `npm test -- --compatibility`. */
    isCompatibility: boolean;
  }
}

/** This browser's WebGPU, as it is where no core adapter is to be had. */
export function withoutCore(): GPU {
  const requestAdapter = async (options: GPURequestAdapterOptions): Promise<GPUAdapter | null> =>
    options.featureLevel === 'compatibility' ? navigator.gpu.requestAdapter(options) : null;
  return { requestAdapter, wgslLanguageFeatures: navigator.gpu.wgslLanguageFeatures } as unknown as GPU;
}
