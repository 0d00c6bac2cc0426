/**
 * Keeps the page above a keyboard on the screen. Browsers that know `interactive-widget=resizes-content` do it by
 * themselves; others (Safari on iOS) lay the keyboard over the page and only say so, in `visualViewport`.
 *
 * @param signal ends it
 */
export function followKeyboard(signal: AbortSignal): void {
  const viewport = globalThis.visualViewport;
  if (viewport === null || viewport === undefined) return;
  const follow = (): void => {
    // A page that is zoomed into has a smaller visual viewport without any keyboard.
    const covered = viewport.scale > 1.01 ? 0 : Math.max(0, innerHeight - viewport.height - viewport.offsetTop);
    document.documentElement.style.setProperty('--keyboard', `${Math.round(covered)}px`);
  };
  viewport.addEventListener('resize', follow, { signal });
  viewport.addEventListener('scroll', follow, { signal });
}
