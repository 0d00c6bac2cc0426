import { createClient, missingSupport } from '../../src/index.ts';
import { findDefaultModel } from './default-model.ts';
import { TabserveApp } from './elements/app.ts';
import { nextFrame } from './frame.ts';
import { toProblem } from './problems.ts';

const app = new TabserveApp({
  createClient,
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
