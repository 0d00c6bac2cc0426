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
