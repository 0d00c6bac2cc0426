import { html, nothing, type TemplateResult } from 'lit';
import { formatSignificant } from '../../../demo/src/format.ts';
import type { BenchRow } from '../row.ts';
import { median } from '../statistics.mjs';

/** What tells a row from all others of a run. */
export function keyOf({ part, metric, dimensions }: BenchRow): string {
  const varied = Object.entries(dimensions).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([part, metric, varied]);
}

/** `2.1 x` better or worse than the other; undefined where there is no better, or nothing to compare with. */
export function verdictOf(row: BenchRow, other: BenchRow | undefined): { readonly ratio: number; readonly isBetter: boolean } | undefined {
  if (other === undefined || row.better === 'neither' || other.unit !== row.unit) return undefined;
  const [mine, theirs] = [median(row.samples), median(other.samples)];
  if (!(mine > 0 && theirs > 0)) return undefined;
  const gain = row.better === 'higher' ? mine / theirs : theirs / mine;
  return { ratio: gain >= 1 ? gain : 1 / gain, isBetter: gain >= 1 };
}

/** The rows of a run, part by part, beside another run's. */
export function resultsTable(rows: readonly BenchRow[], reference: readonly BenchRow[], titles: ReadonlyMap<string, string>): TemplateResult {
  const others = new Map(reference.map((row) => [keyOf(row), row]));
  const parts = [...new Set(rows.map(({ part }) => part))];
  const hasRoofline = rows.some(({ roofline }) => roofline !== undefined);
  return html`<div class="table-scroll"><table class="results" data-testid="results">
    <thead><tr>
      <th scope="col">Figure</th><th scope="col" class="is-number">Yours</th>
      ${hasRoofline ? html`<th scope="col" title="Share of what this adapter could do at best, by its own ceilings in this run">Of the ceiling</th>` : nothing}
      <th scope="col" class="is-number">Reference</th><th scope="col">Compared</th>
    </tr></thead>
    ${parts.map((part) => html`<tbody>
      <tr><th scope="rowgroup" colspan=${hasRoofline ? 5 : 4} class="part-title">${titles.get(part) ?? part}</th></tr>
      ${rows.filter((row) => row.part === part).map((row) => resultRow(row, others.get(keyOf(row)), hasRoofline))}
    </tbody>`)}
  </table></div>`;
}

function resultRow(row: BenchRow, other: BenchRow | undefined, hasRoofline: boolean): TemplateResult {
  const verdict = verdictOf(row, other);
  const varied = Object.entries(row.dimensions).map(([key, value]) => `${key} ${value}`);
  return html`<tr data-testid="result-row">
    <th scope="row">${row.metric} <span class="dimensions">${varied.join(', ')}</span></th>
    <td class="is-number">${figure(row)}</td>
    ${hasRoofline ? html`<td>${row.roofline === undefined ? nothing : ceiling(row.roofline)}</td>` : nothing}
    <td class="is-number">${other === undefined ? nothing : figure(other)}</td>
    <td>${verdict === undefined ? nothing
      : html`<span class=${verdict.isBetter ? 'is-better' : 'is-worse'}>${verdict.ratio.toFixed(2)} times ${verdict.isBetter ? 'better' : 'worse'}</span>`}</td>
  </tr>`;
}

/** The median, its unit, and the range where there is one. */
function figure({ samples, unit }: BenchRow): TemplateResult {
  const [low, high] = [Math.min(...samples), Math.max(...samples)];
  const range = samples.length < 2 ? '' : `${formatSignificant(low)} to ${formatSignificant(high)}, ${samples.length} times`;
  return html`<span title=${range}><b class="number">${formatSignificant(median(samples))}</b> <small>${unit}</small></span>`;
}

function ceiling(share: number): TemplateResult {
  const shown = Math.min(1, Math.max(0, share));
  return html`<span class="ceiling ${share > 1.1 ? 'is-implausible' : ''}" title=${share > 1.1 ? 'More than there is: not to be believed' : ''}>
    <span class="ceiling-bar" style="--share:${shown}" aria-hidden="true"></span><span class="number">${Math.round(100 * share)} %</span></span>`;
}
