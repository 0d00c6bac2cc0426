import { defineConfig } from 'vitest/config';

/** The unit tests alone, as Stryker runs them; it adds its own settings. */
export default defineConfig({
  define: { __TABSERVE_BUILD_ID__: JSON.stringify('mutated') },
  test: { environment: 'node', include: ['test/unit/**/*.test.ts'], exclude: ['test/unit/structure/**', 'test/unit/fuzz/**'], testTimeout: 60_000 },
});
