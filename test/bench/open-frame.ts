/** A page in a frame of this one's, once its modules have run. */
export function openFrame(page: string): Promise<HTMLIFrameElement> {
  const frame = document.createElement('iframe');
  frame.src = page;
  const loaded = new Promise<HTMLIFrameElement>((resolve) => frame.addEventListener('load', () => resolve(frame)));
  document.body.append(frame);
  return loaded;
}
