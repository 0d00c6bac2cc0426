// The package's own entry point for Node is CommonJS in an ES module's clothes; this file of it works everywhere.
declare module 'wgsl_reflect/wgsl_reflect.module.js' {
  export * from 'wgsl_reflect';
}
