import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { SerializedError } from 'vitest';
import type { Reporter, TestModule } from 'vitest/node';

/** The results of a run, as test/run.mjs reads them. */
export interface Summary {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
}

/** Writes the run's {@link Summary} to the file that `TABSERVE_SUMMARY` names, and nothing to the terminal. */
export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    const file = process.env['TABSERVE_SUMMARY'];
    if (file === undefined) return;
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, JSON.stringify(summarize(modules, unhandledErrors.length)));
  }
}

/** An error outside any test (in a module, a hook, or unhandled) fails the run, so it counts as one failure. */
function summarize(modules: readonly TestModule[], unhandled: number): Summary {
  let passed = 0;
  let failed = unhandled;
  const skipped: { name: string; reason: string }[] = [];
  for (const module of modules) {
    let failedTests = 0;
    for (const test of module.children.allTests()) {
      const result = test.result();
      if (result.state === 'passed') passed += 1;
      else if (result.state === 'skipped') {
        const reason = result.note ?? (test.options.mode === 'todo' ? 'still to do' : 'no reason given');
        skipped.push({ name: `${module.relativeModuleId} > ${test.fullName}`, reason });
      } else failedTests += 1; // failed, or still pending when the run broke off
    }
    failed += failedTests;
    if (failedTests === 0 && !module.ok()) failed += 1;
  }
  return { passed, failed, skipped };
}
