import { createClient } from '../../src/index.ts';
import { findDefaultModel } from './default-model.ts';
import { TabserveApp } from './elements/app.ts';
import { nextFrame } from './frame.ts';
import { toProblem } from './problems.ts';

const app = new TabserveApp({
  createClient,
  findDefaultModel,
  findObstacle: () => (navigator.gpu === undefined ? toProblem({ code: 'webgpu_unavailable', message: whatIsMissing() }) : undefined),
  storage: sessionStorage,
  now: () => performance.now(),
  nextFrame,
});
document.querySelector('#app')?.replaceWith(app);

function whatIsMissing(): string {
  return isSecureContext
    ? 'This browser has no navigator.gpu.'
    : `The page was opened from ${location.origin}, which is not a secure origin.`;
}
