declare module '*.wgsl?raw' {
  const text: string;
  export default text;
}

/** Set at build time; part of the shared worker's name while developing, so that an old tab does not keep old code. */
declare const __TABSERVE_BUILD_ID__: string;
