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
 * Without WGSL's bounds checks, which a software adapter compiles slowly. No kernel needs them: an index out of bounds is a fault, and
 * is not clamped here. test/e2e/smollm2 runs with them, as users do.
 */
export const LIGHT_ARGS = [...CHROMIUM_ARGS, '--enable-dawn-features=disable_robustness'];
