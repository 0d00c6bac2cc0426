import { html, nothing, type TemplateResult } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import type { LoadProgress } from '../../../src/index.ts';
import { formatBytes, formatTimeLeft } from '../format.ts';
import { LightElement } from './light-element.ts';
import { styles } from './styles.ts';

const STAGES: Readonly<Record<LoadProgress['stage'], string>> = {
  wait: 'Waiting for another tab’s version of this page to let go of the GPU',
  open: 'Reading the header',
  download: 'Downloading',
  load: 'Loading from this device',
  compile: 'Compiling shaders',
  ready: 'Almost there',
};

/** How far a model has come. */
@customElement('ts-load-progress')
export class LoadProgressView extends LightElement {
  @property({ attribute: false }) label = '';
  /** The model that answers until it is here, if there is one. */
  @property({ attribute: false }) meanwhile: string | undefined;
  @property({ attribute: false }) progress: LoadProgress | undefined;

  protected override render(): TemplateResult {
    const { stage = 'open', bytesDone = 0, bytesTotal = 0, bytesPerSecond = 0, secondsLeft = Infinity } = this.progress ?? {};
    const moving = bytesTotal > 0 && (stage === 'download' || stage === 'load');
    const share = bytesTotal > 0 ? Math.min(1, bytesDone / bytesTotal) : 0;
    const figures = [
      bytesTotal > 0 ? `${formatBytes(bytesDone)} of ${formatBytes(bytesTotal)}` : '',
      moving && bytesPerSecond > 0 ? `${formatBytes(bytesPerSecond)}/s` : '',
      moving ? formatTimeLeft(secondsLeft) : '',
    ];
    return html`<div class="load ${this.meanwhile === undefined ? '' : 'is-beside'}" data-testid="progress">
      <p class="load-label">${this.label}</p>
      <p class="load-stage" data-testid="progress-stage">${STAGES[stage]}</p>
      <div class="bar" role="progressbar" aria-label="Loading ${this.label}"
        aria-valuemin="0" aria-valuemax="100" aria-valuenow=${Math.round(share * 100)}>
        ${moving ? html`<span class="bar-share" ${styles({ '--share': String(share) })}></span>` : html`<span class="bar-sweep"></span>`}
      </div>
      <p class="load-figures" data-testid="progress-figures">
        ${figures.filter((text) => text !== '').map((text) => html`<span>${text}</span>`)}
        <button type="button" class="link-button" data-testid="cancel-load" @click=${() => this.emit('cancel-load')}>Cancel</button>
      </p>
      ${this.meanwhile === undefined ? nothing
        : html`<p class="help" data-testid="meanwhile">Until it is here, ${this.meanwhile} answers.</p>`}
    </div>`;
  }
}
