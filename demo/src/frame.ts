/**
 * Runs `callback` at the next animation frame, or after 100 ms where frames are held back (a tab in the background must
 * still take in its tokens).
 */
export function nextFrame(callback: () => void): void {
  let ran = false;
  const once = (): void => {
    if (ran) return;
    ran = true;
    clearTimeout(timer);
    cancelAnimationFrame(frame);
    callback();
  };
  const timer = setTimeout(once, 100);
  const frame = requestAnimationFrame(once);
}
