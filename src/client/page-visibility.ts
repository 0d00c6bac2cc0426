/** Whether the page is hidden: in a background tab, a minimised window or behind a locked screen. False outside a page. */
export function isPageHidden(): boolean {
  return globalThis.document?.visibilityState === 'hidden';
}

/** Calls back whenever the page was hidden or shown, until the signal is aborted. */
export function onVisibilityChange(listener: () => void, signal: AbortSignal): void {
  globalThis.document?.addEventListener('visibilitychange', listener, { signal });
}
