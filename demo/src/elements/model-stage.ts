import { html, nothing, type TemplateResult } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import type { ModelState } from '../chat-controller.ts';
import { WEBGPU_BROWSERS } from '../../../src/index.ts';
import { webGpuHelp, type Obstacle } from '../webgpu-help.ts';
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
        return html`<section class="model-stage">${this.#unsupported(model)}</section>`;
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

  #unsupported({ obstacle, choice }: ModelState & { kind: 'unsupported' }): TemplateResult {
    return unsupported(obstacle, choice && (() => this.emit('load-model', choice)));
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

/** One of two things: the page has no WebGPU, or WebGPU has no GPU. */
function unsupported({ lack, detail }: Obstacle, retry: (() => void) | undefined): TemplateResult {
  const { title, lead, browser, steps, suggestsBrowsers } = webGpuHelp(lack, navigator.userAgent);
  return html`<div class="lead unsupported" data-testid="unsupported" data-lack=${lack} role="alert">
    <h1>${title}</h1>
    <p>${lead}</p>
    <p class="reason"><code>webgpu_unavailable</code> ${detail}</p>
    <h2>What to do: ${browser}</h2>
    <ol class="steps">${steps.map((step) => html`<li>${step}</li>`)}</ol>
    ${retry === undefined ? nothing : html`<button type="button" class="button" data-testid="try-again" @click=${retry}>Try again</button>`}
    ${suggestsBrowsers ? html`<h2>Where it works</h2>
      <ul class="browsers">
        ${WEBGPU_BROWSERS.map((each) => html`<li><b>${each.browser}</b><span>from ${each.from}</span></li>`)}
      </ul>` : nothing}
  </div>`;
}
