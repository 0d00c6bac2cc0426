/**
 * Whether the page is hidden: in a background tab, a minimised window or behind a locked screen. False outside a page, and
 * where the browser does not tell.
 */
export function isPageHidden(): boolean {
  try {
    return globalThis.document.visibilityState === 'hidden';
  } catch {
    return false;
  }
}

/** Calls back whenever the page was hidden or shown, until the signal is aborted. */
export function onVisibilityChange(listener: () => void, signal: AbortSignal): void {
  try {
    globalThis.document.addEventListener('visibilitychange', listener, { signal });
  } catch {
    // It counts as visible for ever.
  }
}
