import { missingSupport } from '../../../src/index.ts';
import { BenchmarkPage } from './benchmark-page.ts';
import { findModel } from './find-model.ts';
import { readMachine } from './machine.ts';
import { REFERENCES } from './references.ts';
import { openSuiteFrame } from './suite-frame.ts';

const machine = await readMachine(navigator);
const unknown = { vendor: '', architecture: '', device: '', description: 'none', isSoftware: false, features: [], browser: '', os: '', cores: 0 };
const page = new BenchmarkPage({
  machine: machine ?? unknown,
  model: await findModel(),
  references: REFERENCES,
  openSuite: openSuiteFrame,
  obstacle: missingSupport() ?? (machine === undefined ? 'The browser offers no GPU. Hardware acceleration may be off.' : undefined),
  now: () => performance.now(),
});
document.querySelector('#benchmark')?.replaceWith(page);
