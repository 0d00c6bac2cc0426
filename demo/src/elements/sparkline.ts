import { html, svg, type TemplateResult } from 'lit';

const WIDTH = 120;
const HEIGHT = 44;
const POINTS = 60;

/**
 * A line over the latest samples, oldest on the left.
 *
 * @param ceiling what the whole height stands for, at least
 * @param label the picture in words
 */
export function sparkline(samples: readonly number[], ceiling: number, label: string): TemplateResult {
  const shown = samples.slice(-POINTS);
  const top = Math.max(ceiling, ...shown) || 1;
  const x = (index: number): number => WIDTH - ((shown.length - 1 - index) * WIDTH) / (POINTS - 1);
  const y = (value: number): number => HEIGHT - 2 - (value / top) * (HEIGHT - 6);
  const line = shown.map((value, index) => `${x(index).toFixed(1)},${y(value).toFixed(1)}`).join(' ');
  const area = shown.length > 1 ? `${x(0).toFixed(1)},${HEIGHT} ${line} ${WIDTH},${HEIGHT}` : '';
  return html`<svg class="sparkline" viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none"
    role="img" aria-label=${label}>
    ${svg`<line x1="0" x2=${WIDTH} y1=${HEIGHT - 1} y2=${HEIGHT - 1} />
      <polygon points=${area} /><polyline points=${line} />`}
  </svg>`;
}
