declare module '*.wgsl?raw' {
  const text: string;
  export default text;
}

/** Chromium's: a SharedWorker lives on for some seconds without a tab. */
interface WorkerOptions {
  extendedLifetime?: boolean;
}

/** Set at build time; part of the workers' names while developing, so that an old tab does not keep old code. */
declare const __TABSERVE_BUILD_ID__: string;
