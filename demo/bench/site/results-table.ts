import { html, nothing, type TemplateResult } from 'lit';
import { formatSignificant } from '../../src/format.ts';
import type { BenchRow } from '../row.ts';
import { rowKey } from '../rows.mjs';
import { isAboveCeiling } from '../above-ceiling.mjs';
import { median } from '../statistics.mjs';

/** `2.1 x` better or worse than the other; undefined where there is no better, or nothing to compare with. */
export function verdictOf(row: BenchRow, other: BenchRow | undefined): { readonly ratio: number; readonly isBetter: boolean } | undefined {
  if (other === undefined || row.better === 'neither' || other.unit !== row.unit) return undefined;
  const [mine, theirs] = [median(row.samples), median(other.samples)];
  if (!(mine > 0 && theirs > 0)) return undefined;
  const gain = row.better === 'higher' ? mine / theirs : theirs / mine;
  return { ratio: gain >= 1 ? gain : 1 / gain, isBetter: gain >= 1 };
}

/** What all rows of a run are shown with. */
interface Columns {
  readonly hasRoofline: boolean;
  readonly hasReference: boolean;
  /** Dimensions that tell nothing apart. */
  readonly hidden: ReadonlySet<string>;
}

/** The rows of a run, part by part, beside another run's. */
export function resultsTable(rows: readonly BenchRow[], reference: readonly BenchRow[], titles: ReadonlyMap<string, string>): TemplateResult {
  const others = new Map(reference.map((row) => [rowKey(row), row]));
  const parts = [...new Set(rows.map(({ part }) => part))];
  const models = new Set(rows.filter(({ part }) => part === 'models').map(({ dimensions }) => dimensions['model']));
  const columns: Columns = {
    hasRoofline: rows.some(({ roofline }) => roofline !== undefined),
    hasReference: rows.some((row) => others.has(rowKey(row))),
    hidden: new Set(models.size > 2 ? [] : ['model']), // the ceilings are no model's
  };
  const { hasRoofline, hasReference } = columns;
  return html`<div class="table-scroll"><table class="results" data-testid="results">
    <thead><tr>
      <th scope="col">Figure</th><th scope="col" class="is-number">Yours</th>
      ${hasRoofline ? html`<th scope="col" title="Share of what this adapter could do at best, by its own ceilings in this run">Of the ceiling</th>` : nothing}
      ${hasReference ? html`<th scope="col" class="is-number">Reference</th><th scope="col">Compared</th>` : nothing}
    </tr></thead>
    ${parts.map((part) => html`<tbody>
      <tr><th scope="rowgroup" colspan=${2 + Number(hasRoofline) + 2 * Number(hasReference)} class="part-title">${titles.get(part) ?? part}</th></tr>
      ${rows.filter((row) => row.part === part).map((row) => resultRow(row, others.get(rowKey(row)), columns))}
    </tbody>`)}
  </table></div>`;
}

function resultRow(row: BenchRow, other: BenchRow | undefined, { hasRoofline, hasReference, hidden }: Columns): TemplateResult {
  const varied = Object.entries(row.dimensions).flatMap(([key, value]) => (hidden.has(key) ? [] : [`${key} ${value}`]));
  return html`<tr data-testid="result-row">
    <th scope="row">${row.metric} <span class="dimensions">${varied.join(', ')}</span></th>
    <td class="is-number">${figure(row)}</td>
    ${hasRoofline ? html`<td>${row.roofline === undefined ? nothing : ceiling(row.roofline)}</td>` : nothing}
    ${hasReference ? html`<td class="is-number">${other === undefined ? nothing : figure(other)}</td><td>${verdict(row, other)}</td>` : nothing}
  </tr>`;
}

function verdict(row: BenchRow, other: BenchRow | undefined): TemplateResult | typeof nothing {
  const found = verdictOf(row, other);
  if (found === undefined) return nothing;
  const { ratio, isBetter } = found;
  return html`<span class=${isBetter ? 'is-better' : 'is-worse'}>${ratio.toFixed(2)} times ${isBetter ? 'better' : 'worse'}</span>`;
}

/** The median, its unit, and the range where there is one. */
function figure({ samples, unit }: BenchRow): TemplateResult {
  const [low, high] = [Math.min(...samples), Math.max(...samples)];
  const range = samples.length < 2 ? '' : `${formatSignificant(low)} to ${formatSignificant(high)}, ${samples.length} times`;
  return html`<span title=${range}><b class="number">${formatSignificant(median(samples))}</b> <small>${unit}</small></span>`;
}

function ceiling(share: number): TemplateResult {
  const shown = Math.min(1, Math.max(0, share));
  return html`<span class="ceiling ${isAboveCeiling(share) ? 'is-implausible' : ''}" title=${isAboveCeiling(share) ? 'More than there is: not to be believed' : ''}>
    <span class="ceiling-bar" .style=${`--share:${shown}`} aria-hidden="true"></span><span class="number">${Math.round(100 * share)} %</span></span>`;
}
