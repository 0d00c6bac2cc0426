import { html, nothing, type TemplateResult } from 'lit';
import type { ModelState, ResidentModel } from '../../../src/index.ts';
import { count } from '../block-map.ts';
import { formatBytes } from '../format.ts';
import { labelOf } from '../model-choice.ts';

const STATES: Readonly<Record<ModelState, string>> = {
  idle: 'not loaded', loading: 'loading', ready: 'on the GPU', recovering: 'being set up again', parked: 'made room; back with the next question', failed: 'failed',
};

/** The models of all tabs, where there are several. */
export function residentCard(models: readonly ResidentModel[] = []): TemplateResult | typeof nothing {
  if (models.length < 2) return nothing;
  return html`<section class="card" data-testid="residents">
    <h3>Models of all tabs</h3>
    <ul class="residents">${models.map(({ id, state, gpuBytes, sessions }) => html`<li data-testid="resident" data-state=${state}>
      <span>${labelOf(id)}</span> <small>${STATES[state]}${gpuBytes > 0 ? `, ${formatBytes(gpuBytes)}` : ''} · ${count(sessions, 'tab')}</small></li>`)}</ul>
  </section>`;
}
