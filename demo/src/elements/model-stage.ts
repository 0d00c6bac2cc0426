import { html, nothing, type TemplateResult } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import type { ModelState } from '../chat-controller.ts';
import { WEBGPU_BROWSERS } from '../../../src/index.ts';
import { webGpuHelp } from '../webgpu-help.ts';
import type { DefaultModel } from '../default-model.ts';
import type { ModelCache } from '../model-cache.ts';
import './cache-list.ts';
import { LightElement } from './light-element.ts';
import './load-progress.ts';
import './model-picker.ts';
import { problemCard } from './problem-card.ts';

/** How the model is doing while it is not ready. */
@customElement('ts-model-stage')
export class ModelStage extends LightElement {
  @property({ attribute: false }) model: ModelState = { kind: 'starting' };
  @property({ attribute: false }) defaultModel: DefaultModel | undefined;

  /** Below a conversation; the picker then opens over the page instead of standing in it. */
  @property({ attribute: false }) inChat = false;

  /** It changes in place. */
  @property({ attribute: false, hasChanged: () => true }) cache: ModelCache | undefined;

  protected override render(): TemplateResult | typeof nothing {
    const { model } = this;
    switch (model.kind) {
      case 'starting':
      case 'ready':
        return nothing;
      case 'unsupported':
        return html`<section class="model-stage">${unsupported(model.problem.detail)}</section>`;
      case 'loading':
        return html`<section class="model-stage">
          <ts-load-progress .label=${model.choice.label} .progress=${model.progress}></ts-load-progress></section>`;
      case 'failed':
        return html`<section class="model-stage">${problemCard(model.problem, this.inChat || model.problem.remedy !== 'choose-model')}
          ${this.#picker()}</section>`;
      case 'none':
        return html`<section class="model-stage">${this.#noDefault()}${this.#picker()}</section>`;
    }
  }

  #noDefault(): TemplateResult | typeof nothing {
    if (this.inChat) {
      return html`<div class="load"><p class="help">No model is loaded.</p>
        <button type="button" class="button" @click=${() => this.emit('problem-remedy', 'choose-model')}>Choose a model</button></div>`;
    }
    if (this.defaultModel?.available !== false) return nothing;
    return html`<div class="lead" data-testid="no-default-model">
      <h1>Bring a model</h1>
      <p>The default model is not on this server, so there is nothing to talk to yet.</p>
      <p class="reason">${this.defaultModel.reason}</p>
    </div>`;
  }

  #picker(): TemplateResult | typeof nothing {
    if (this.inChat) return nothing;
    return html`<ts-model-picker .defaultModel=${this.defaultModel}></ts-model-picker>
      <ts-cache-list .cache=${this.cache} .defaultModel=${this.defaultModel}></ts-cache-list>`;
  }
}

function unsupported(detail: string): TemplateResult {
  const { browser, steps } = webGpuHelp(navigator.userAgent, isSecureContext);
  return html`<div class="lead unsupported" data-testid="unsupported" role="alert">
    <h1>This browser cannot run models yet</h1>
    <p>tabserve computes on your GPU through WebGPU, and WebGPU is not available here.</p>
    <p class="reason"><code>webgpu_unavailable</code> ${detail}</p>
    <h2>What to do: ${browser}</h2>
    <ol class="steps">${steps.map((step) => html`<li>${step}</li>`)}</ol>
    <h2>Where it works</h2>
    <ul class="browsers">
      ${WEBGPU_BROWSERS.map(({ browser, from }) => html`<li><b>${browser}</b><span>from ${from}</span></li>`)}
    </ul>
  </div>`;
}
