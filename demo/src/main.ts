import { TUNINGS } from '../../src/core/tuning.ts';
import { createClient, missingSupport } from '../../src/index.ts';
import { findDefaultModel } from './default-model.ts';
import { TabserveApp } from './elements/app.ts';
import { nextFrame } from './frame.ts';
import { toProblem } from './problems.ts';

/** `?tuning=force` shows the races of kernels on adapters that are not tuned by themselves. */
const asked = new URL(location.href).searchParams.get('tuning');
const tuning = TUNINGS.find((each) => each === asked);

const app = new TabserveApp({
  createClient: (options) => createClient({ ...options, tuning }),
  findDefaultModel,
  findObstacle: () => {
    const message = missingSupport();
    return message === undefined ? undefined : toProblem({ code: 'webgpu_unavailable', message });
  },
  storage: sessionStorage,
  now: () => performance.now(),
  nextFrame,
});
document.querySelector('#app')?.replaceWith(app);
// Where there is none, or it is refused, the page is the same, but for coming without a network.
if (import.meta.env.PROD) void navigator.serviceWorker?.register('./service-worker.js').catch(() => {});
