import { html, nothing, type TemplateResult } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { repeat } from 'lit/directives/repeat.js';
import type { CachedModel } from '../../../src/cache.ts';
import type { DefaultModel } from '../default-model.ts';
import { formatAgo, formatBytes, percent } from '../format.ts';
import type { ModelCache } from '../model-cache.ts';
import { BABBLE_MODEL, loadedChoice, type ModelChoice } from '../model-choice.ts';
import './confirm-button.ts';
import { LightElement } from './light-element.ts';

/** The models on this device. Bubbles `load-model` with a ModelChoice. */
@customElement('ts-cache-list')
export class CacheList extends LightElement {
  /** It changes in place. */
  @property({ attribute: false, hasChanged: () => true }) cache: ModelCache | undefined;
  @property({ attribute: false }) defaultModel: DefaultModel | undefined;

  override connectedCallback(): void {
    super.connectedCallback();
    void this.updateComplete.then(() => this.cache?.refresh());
  }

  /** To its heading, where it is read on from. */
  takeFocus(): void {
    const heading = this.querySelector('h2');
    heading?.focus();
    heading?.scrollIntoView({ block: 'nearest' });
  }

  protected override render(): TemplateResult {
    const { models, trouble } = this.cache ?? {};
    return html`<section class="cache" data-testid="cache" aria-labelledby="cache-title">
      <h2 id="cache-title" tabindex="-1">On this device</h2>
      ${trouble === undefined ? nothing : html`<p class="help is-bad" role="alert" data-testid="cache-trouble">${trouble}</p>`}
      ${models === undefined ? html`<p class="help">Looking…</p>` : this.#list(models)}
    </section>`;
  }

  #list(models: readonly CachedModel[]): TemplateResult {
    if (models.length === 0) return html`<p class="help" data-testid="cache-total">No model is stored. One that you load is kept for the next visit.</p>${this.#promise()}`;
    return html`<ul class="rows">${repeat(models, ({ url }) => url, (model) => this.#row(model))}</ul>
      <p class="help" data-testid="cache-total">${formatBytes(this.cache?.bytesCached ?? 0)} in all.${this.#free()}</p>
      ${this.#promise()}`;
  }

  #row(model: CachedModel): TemplateResult {
    const { url, name, size, bytesCached, lastUsed } = model;
    const choice = this.#choice(name);
    const isWhole = bytesCached >= size;
    return html`<li data-testid="cached-model">
      <div class="row-text"><b title=${url}>${choice.label}</b>
        <small>${isWhole ? formatBytes(size) : `${formatBytes(bytesCached)} of ${formatBytes(size)}: partly, ${percent(bytesCached, size)}`}
          · used ${formatAgo(lastUsed)}</small></div>
      <button type="button" class="button is-small" aria-label="Load ${choice.label}" data-testid="cached-load"
        @click=${() => this.emit('load-model', choice)}>${isWhole ? 'Load' : 'Go on'}</button>
      <ts-confirm-button .subject=${choice.label} .value=${url} @confirmed=${this.#remove}></ts-confirm-button>
    </li>`;
  }

  #free(): string {
    const { bytesFree } = this.cache ?? {};
    return bytesFree === undefined ? '' : ` The browser’s estimate is that ${formatBytes(bytesFree)} more would fit.`;
  }

  /** Whether the browser will keep them: it is asked when a model is chosen. */
  #promise(): TemplateResult | typeof nothing {
    const isPersistent = this.cache?.isPersistent;
    if (isPersistent === undefined) return nothing;
    return html`<p class="help" data-testid="cache-promise">${isPersistent
      ? 'The browser has promised to keep what is stored here until you delete it.'
      : 'The browser may delete what is stored here when the disk runs full. It is asked to keep it when you choose a model.'}</p>`;
  }

  /** Under the name that it has elsewhere on the page, if it has one. */
  #choice(name: string): ModelChoice {
    const known = this.defaultModel?.available === true ? [this.defaultModel.choice, BABBLE_MODEL] : [BABBLE_MODEL];
    return loadedChoice(name, known, document.baseURI);
  }

  readonly #remove = (event: CustomEvent<string>): void => {
    void this.cache?.remove(event.detail).then(() => this.takeFocus());
  };
}
