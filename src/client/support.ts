import { TabserveError } from '../core/errors.ts';
import { WEBGPU_BROWSERS_SENTENCE } from '../core/webgpu-browsers.ts';

/** What a page must have; `globalThis`, or a stand-in. */
export interface PageScope {
  readonly isSecureContext: boolean;
  readonly origin: string;
  readonly navigator: { readonly gpu?: unknown; readonly locks?: unknown };
}

const LOCKS_BROWSERS = 'Chrome and Edge have it from 69 on, Firefox from 96, Safari from 15.4';

/**
 * What is missing to serve a model in this page, in words, or `undefined`: what `createClient` would refuse with, for
 * pages that tell it before they are asked. Whether there is an adapter only loading finds out.
 */
export function missingSupport(scope: PageScope = globalThis): string | undefined {
  if (!scope.isSecureContext) {
    return (
      `The page's origin, ${scope.origin}, is not secure, and browsers offer WebGPU to secure pages only. ` +
      'Serve the page over https: or from http://localhost.'
    );
  }
  if (scope.navigator.gpu === undefined) {
    return `This browser has no WebGPU (navigator.gpu), or it is switched off. ${WEBGPU_BROWSERS_SENTENCE}`;
  }
  if (scope.navigator.locks === undefined) {
    return `This browser has no Web Locks (navigator.locks), by which tabs are told apart. ${LOCKS_BROWSERS}.`;
  }
  return undefined;
}

/**
 * Whether there is an adapter is for the worker to find out: it is the worker that will use it.
 *
 * @throws TabserveError `webgpu_unavailable`, naming what is missing and which browsers have it
 */
export function checkSupport(scope: PageScope = globalThis): void {
  const missing = missingSupport(scope);
  if (missing !== undefined) throw new TabserveError('webgpu_unavailable', missing);
}
