export * from '../../src/runner/known-answers/cache-layout.ts';
