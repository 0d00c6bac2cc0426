import { html, nothing, type TemplateResult } from 'lit';
import type { EngineMetrics, Invariance, TunedKernel, TuningMetrics } from '../../../src/index.ts';
import { formatDuration } from '../format.ts';

const STATES: Readonly<Record<TuningMetrics['state'], string>> = {
  off: 'as they are by default',
  idle: 'waiting for a quiet moment',
  tuning: 'trying variants',
  done: 'fitted to this adapter',
  limited: 'fitted in part; the next visit goes on',
  failed: 'a trial has failed; the others keep their defaults',
  cached: 'fitted at an earlier visit',
};

/** How the kernels are fitted to this adapter: the most gained first. */
export function tuningCard(metrics: Pick<EngineMetrics, 'tuning' | 'invariance' | 'kernelsToCompile'> | undefined): TemplateResult | typeof nothing {
  if (metrics?.tuning === undefined) return nothing;
  const { tuning, kernelsToCompile } = metrics;
  const { state, gpuMs, numKernels, kernels, rejected } = tuning;
  const took = formatDuration(gpuMs);
  return html`<section class="card" data-testid="tuning" data-state=${state}>
    <h3>Kernels</h3>
    <p>${STATES[state]}</p>
    <p class="help" data-testid="tuning-count">${kernels.length} of ${numKernels} tuned${
      gpuMs > 0 ? html`, in ${took.value} ${took.unit} of the GPU’s time` : nothing}</p>
    ${kernelsToCompile > 0 ? html`<p class="help">${kernelsToCompile} still to be compiled</p>` : nothing}
    ${invarianceLine(metrics.invariance)}
    ${rejected.length > 0 ? html`<p class="help" data-testid="tuning-rejected">${rejected.length} faster ${
      rejected.length === 1 ? 'variant was' : 'variants were'} wrong on this GPU and ${rejected.length === 1 ? 'is' : 'are'} not used</p>` : nothing}
    ${kernels.length === 0 ? nothing : table(kernels)}
  </section>`;
}

const INVARIANCE: Readonly<Record<Invariance['state'], string>> = {
  unverified: 'Whether an answer has the same bits beside others was not measured on this adapter.',
  verified: 'Measured on this adapter: an answer has the same bits, whatever else is in the batch.',
  failed: 'Some kernels gave other bits for several tokens at once: each now takes one width, which is slower.',
};

function invarianceLine(invariance: Invariance | undefined): TemplateResult | typeof nothing {
  if (invariance === undefined) return nothing;
  return html`<p class="help" data-testid="invariance" data-state=${invariance.state}>${INVARIANCE[invariance.state]}</p>`;
}

function table(kernels: readonly TunedKernel[]): TemplateResult {
  const rows = kernels.toSorted((a, b) => b.gain - a.gain);
  return html`<details class="tuning">
    <summary>Each kernel</summary>
    <table>
      <thead><tr><th>Kernel</th><th>Tokens</th><th title="How many times as fast as without tuning">Gain</th></tr></thead>
      <tbody>${rows.map(({ name, tokens, variant, gain }) => html`<tr title=${variant} data-testid="tuning-row">
        <td>${name}</td><td class="number">${tokens}</td><td class="number">${gain > 1 ? `${gain.toFixed(2)}×` : '1×'}</td>
      </tr>`)}</tbody>
    </table>
  </details>`;
}
