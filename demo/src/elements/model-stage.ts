import { html, nothing, type TemplateResult } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { formatBytes } from '../format.ts';
import type { ModelLink } from '../model-link.ts';
import type { LoadingModel, ModelState, Offer, ReadyModel } from '../model-switch.ts';
import { WEBGPU_BROWSERS } from '../../../src/index.ts';
import { webGpuHelp, type Obstacle } from '../webgpu-help.ts';
import type { DefaultModel } from '../default-model.ts';
import type { ModelCache } from '../model-cache.ts';
import type { ModelChoice } from '../model-choice.ts';
import type { RepositoryState } from '../repository.ts';
import './cache-list.ts';
import { LightElement } from './light-element.ts';
import { linkedModel } from './linked-model.ts';
import './load-progress.ts';
import './model-picker.ts';
import { problemCard } from './problem-card.ts';

/** How the model is doing while it is not ready, and one that is to take its place. Bubbles `load-model` with a ModelChoice. */
@customElement('ts-model-stage')
export class ModelStage extends LightElement {
  @property({ attribute: false }) model: ModelState = { kind: 'starting' };
  @property({ attribute: false }) defaultModel: DefaultModel | undefined;

  /** Below a conversation; the picker then opens over the page instead of standing in it. */
  @property({ attribute: false }) inChat = false;

  /** It changes in place. */
  @property({ attribute: false, hasChanged: () => true }) cache: ModelCache | undefined;

  @property({ attribute: false }) repository: RepositoryState | undefined;

  protected override render(): TemplateResult | typeof nothing {
    const body = this.#body();
    return body === nothing ? nothing : html`<section class="model-stage">${body}</section>`;
  }

  #body(): TemplateResult | typeof nothing {
    const { model } = this;
    switch (model.kind) {
      case 'starting':
        return nothing;
      case 'unsupported':
        return this.#unsupported(model);
      case 'loading':
        return progress(model);
      case 'failed':
        return html`${problemCard(model.problem, this.inChat || model.problem.remedy !== 'choose-model', model.before?.label)}
          ${this.#picker()}`;
      case 'ready':
        return this.#next(model);
      case 'none':
        return html`${model.offer === undefined ? this.#noDefault() : this.#offer(model.offer)}${this.#picker(model.offer)}`;
    }
  }

  #offer(offer: Offer): TemplateResult {
    if (offer.why === 'deleted') return this.#deleted(offer.choice);
    const choose = (): void => this.emit('problem-remedy', 'choose-model');
    return linkedModel(offer.link, this.inChat, () => this.#follow(offer.link), choose);
  }

  /** The picker lists a repository's files. */
  #follow(link: ModelLink): void {
    if (link.kind === 'model') return this.emit('load-model', link.choice);
    this.emit('browse-repository', link.repository);
    if (this.inChat) this.emit('problem-remedy', 'choose-model');
  }

  /** The load, or the failed load, of a model that was to replace the one that answers. */
  #next({ choice, next }: ReadyModel): TemplateResult | typeof nothing {
    if (next === undefined) return nothing;
    if (next.kind === 'loading') return progress(next, choice.label);
    return html`<div><p class="help" data-testid="still-answers">${next.choice?.label} could not be loaded. ${choice.label} still answers.</p>
      ${problemCard(next.problem, true, choice.label)}</div>`;
  }

  #deleted(choice: ModelChoice): TemplateResult {
    const load = html`<button type="button" class="button is-primary" data-testid="load-deleted"
      @click=${() => this.emit('load-model', choice)}>Load it again${this.#size(choice)}</button>`;
    const why = `${choice.label} was deleted from this device`;
    if (!this.inChat) {
      return html`<div class="lead" data-testid="deleted-model"><h1>${why}</h1>
        <p>It is fetched again only when you ask for it.</p>${load}</div>`;
    }
    return html`<div class="load" data-testid="deleted-model"><p class="help">${why}.</p>
      <p class="problem-actions">${load}
        <button type="button" class="button" @click=${() => this.emit('problem-remedy', 'choose-model')}>Choose a model</button></p></div>`;
  }

  #size(choice: ModelChoice): string {
    const { defaultModel } = this;
    const isKnown = defaultModel?.available === true && defaultModel.choice === choice && defaultModel.bytes > 0;
    return isKnown ? ` (${formatBytes(defaultModel.bytes)})` : '';
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

  /** @param offer what is offered already */
  #picker(offer?: Offer): TemplateResult | typeof nothing {
    if (this.inChat) return nothing;
    const { defaultModel } = this;
    const isOffered = defaultModel?.available === true && offer?.why === 'deleted' && defaultModel.choice === offer.choice;
    return html`<ts-model-picker .defaultModel=${isOffered ? undefined : defaultModel} .repository=${this.repository}
        .link=${offer?.why === 'linked' ? offer.link : undefined}></ts-model-picker>
      <ts-cache-list .cache=${this.cache} .defaultModel=${this.defaultModel}></ts-cache-list>`;
  }
}

function progress({ choice, progress }: LoadingModel, meanwhile?: string): TemplateResult {
  return html`<ts-load-progress .label=${choice.label} .progress=${progress} .meanwhile=${meanwhile}></ts-load-progress>`;
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
