// @ts-check

/**
 * Colours of M. Okabe and K. Ito's palette (2002), which people with any colour vision tell apart, in an order and in
 * shades that stand out from the page.
 */
const THEMES = /** @type {const} */ ({
  light: {
    background: '#ffffff',
    text: '#1f2328',
    faint: '#59636e',
    grid: '#d1d9e0',
    series: ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#b58900', '#56b4e9', '#1f2328'],
  },
  dark: {
    background: '#0d1117',
    text: '#f0f6fc',
    faint: '#9198a1',
    grid: '#30363d',
    series: ['#56b4e9', '#e69f00', '#00c08b', '#e59cc4', '#f0e442', '#5e9bff', '#f0f6fc'],
  },
});

/** @typedef {keyof typeof THEMES} Theme */

const FONT = 'system-ui, -apple-system, "Segoe UI", "Liberation Sans", Arial, sans-serif';

/** @param {Theme} theme
 * @returns {import('vega-lite').Config} */
export function configOf(theme) {
  const { background, text, faint, grid, series } = THEMES[theme];
  return {
    background,
    font: FONT,
    padding: 16,
    view: { stroke: null },
    title: {
      anchor: 'start', frame: 'group', fontSize: 16, fontWeight: 600, color: text, subtitleColor: faint, subtitleFontSize: 11,
      subtitlePadding: 6, subtitleLineHeight: 15, offset: 14,
    },
    axis: {
      labelColor: text, titleColor: faint, labelFontSize: 12, titleFontSize: 12, titleFontWeight: 400, titlePadding: 10,
      gridColor: grid, domainColor: grid, tickColor: grid,
    },
    legend: { labelColor: text, labelFontSize: 12, symbolSize: 90, symbolOpacity: 1, labelLimit: 0, rowPadding: 4, offset: 12 },
    range: { category: [...series], symbol: ['circle', 'square', 'triangle-up', 'diamond', 'cross', 'triangle-down', 'stroke'] },
    text: { color: text, fontSize: 11 },
    rule: { color: faint },
  };
}
