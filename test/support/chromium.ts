export { findChromium } from './find-chromium.mjs';

/** Flags under which headless Chromium offers WebGPU on any machine (on SwiftShader, a software adapter) and stays off the network. */
export const CHROMIUM_ARGS = [
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/**
 * For tests of kernels: WGSL's bounds checks are left out where Dawn can prove that an index is in bounds, which a software
 * adapter compiles faster. An index that is out of bounds is clamped as ever.
 */
export const KERNEL_ARGS = [...CHROMIUM_ARGS, '--enable-dawn-features=enable_integer_range_analysis_in_robustness'];

/** For tests of everything but kernels, which compile faster without WGSL's bounds checks. */
export const LIGHT_ARGS = [...CHROMIUM_ARGS, '--enable-dawn-features=disable_robustness'];
