import { html, svg, type TemplateResult } from 'lit';

/** Line icons on a 24 x 24 grid, drawn with the text's colour. */
const PATHS = {
  plus: 'M12 5v14M5 12h14',
  send: 'M12 19V5M6 11l6-6 6 6',
  stop: 'M7 7h10v10H7z',
  copy: 'M9 9h10v10H9zM5 15V5h10',
  check: 'M5 12.5l4.5 4.5L19 7.5',
  retry: 'M19 12a7 7 0 1 1-2.1-5M19 4v4h-4',
  down: 'M12 5v14M6 13l6 6 6-6',
  chevron: 'M7 10l5 5 5-5',
  close: 'M6 6l12 12M18 6L6 18',
  pulse: 'M3 12h4l3-7 4 14 3-7h4',
  sun: 'M12 4V2M12 22v-2M4 12H2M22 12h-2M6.3 6.3L4.9 4.9M19.1 19.1l-1.4-1.4M6.3 17.7l-1.4 1.4M19.1 4.9l-1.4 1.4'
    + 'M16 12a4 4 0 1 1-8 0 4 4 0 0 1 8 0z',
  moon: 'M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z',
  edit: 'M4 20h4L19 9l-4-4L4 16zM13 7l4 4',
  trash: 'M5 7h14M10 4h4M7 7l1 13h8l1-13M10.5 11v5M13.5 11v5',
  chats: 'M12 7v5l3 2M4.5 8A8.5 8.5 0 1 1 3.5 12M4 4v4h4',
  save: 'M12 4v11M7 11l5 5 5-5M5 20h14',
  file: 'M14 3H7v18h10V6zM14 3v4h3',
  outward: 'M10 5H5v14h14v-5M14 5h5v5M19 5l-8 8',
  bolt: 'M13 3L5 14h6l-1 7 8-11h-6z',
  skull: 'M6 16.5A7.5 7.5 0 1 1 18 16.5V20H6zM9 12v.01M15 12v.01M10 20v-2M14 20v-2',
  alert: 'M12 8v5M12 16.5v.01M12 3l9.5 17h-19z',
} as const;

export function icon(name: keyof typeof PATHS): TemplateResult {
  return html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true">${svg`<path d=${PATHS[name]} />`}</svg>`;
}

/** The mark: a browser tab with a cursor that waits in it. */
export const mark = html`<svg class="mark" viewBox="0 0 24 24" aria-hidden="true">
  <path class="mark-tab" d="M2 20h3V8.5A3.5 3.5 0 0 1 8.5 5h7A3.5 3.5 0 0 1 19 8.5V20h3" />
  <path class="mark-cursor" d="M12 10v7" />
</svg>`;
