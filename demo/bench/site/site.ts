import { isRedirected } from '../../src/model-link.ts';
import { listModels } from '../../../src/cache.ts';
import { missingSupport } from '../../../src/index.ts';
import { BenchmarkPage } from './benchmark-page.ts';
import { findModel, shownPage } from './find-model.ts';
import { readMachine } from './machine.ts';
import { REFERENCES } from './references.ts';
import { openSuiteFrame } from './suite-frame.ts';

const address = new URL(location.href);
const shown = shownPage(address).href;
if (shown !== address.href) history.replaceState(null, '', shown);
const model = await findModel(address, { cache: { list: listModels }, isRedirected });
const obstacle = model === undefined ? '“?model=” names no model: give an https address of a GGUF file, hf:owner/repo/file.gguf, or a path on this site.' : missingSupport();
const machine = await readMachine(navigator);
const unknown = { vendor: '', architecture: '', device: '', description: 'none', isSoftware: false, features: [], browser: '', os: '', cores: 0 };
const page = new BenchmarkPage({
  machine: machine ?? unknown,
  model: model ?? { url: '', label: 'none' },
  address: shown,
  references: REFERENCES,
  openSuite: openSuiteFrame,
  obstacle: obstacle ?? (machine === undefined ? 'The browser offers no GPU. Hardware acceleration may be off.' : undefined),
  now: () => performance.now(),
});
document.querySelector('#benchmark')?.replaceWith(page);
