import { html, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import type { DefaultModel } from '../default-model.ts';
import { formatBytes } from '../format.ts';
import { FORMATS } from '../gguf-names.ts';
import { BABBLE_MODEL, fileChoice, parseAddress, type Address } from '../model-choice.ts';
import type { ModelLink } from '../model-link.ts';
import type { RepositoryState } from '../repository.ts';
import { icon, mark } from './icons.ts';
import { LightElement } from './light-element.ts';
import './repository-list.ts';

/** Every way to name a model. Bubbles `load-model` with a ModelChoice, and `browse-repository` with a RepositoryName. */
@customElement('ts-model-picker')
export class ModelPicker extends LightElement {
  @property({ attribute: false }) defaultModel: DefaultModel | undefined;
  /** The one that was asked for last. */
  @property({ attribute: false }) repository: RepositoryState | undefined;
  /** The address that a link names, which is filled in. */
  @property({ attribute: false }) link: ModelLink | undefined;
  @state() private address = '';
  @state() private refused = false;

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has('link') && this.link !== undefined) this.address = this.link.url;
  }

  protected override render(): TemplateResult {
    return html`<div class="picker">
      ${this.defaultModel?.available === true ? defaultButton(this.defaultModel, () => this.#loadDefault()) : nothing}
      <form class="picker-address" @submit=${this.#submit}>
        <label for="model-url">Address of a GGUF file or repository</label>
        <div class="field-row">
          <input id="model-url" data-testid="model-url" type="text" inputmode="url" spellcheck="false" autocapitalize="off"
            autocomplete="off" placeholder="https://… or owner/repo" .value=${this.address}
            aria-invalid=${this.refused} aria-describedby="model-url-help"
            @input=${(event: InputEvent) => { this.address = (event.target as HTMLInputElement).value; this.refused = false; }} />
          <button type="submit" class="button" data-testid="model-load" ?disabled=${this.address.trim() === ''}>Load</button>
        </div>
        <p class="help" id="model-url-help">${this.refused
          ? html`<span role="alert">Give an https address, a repository of huggingface.co, or hf:owner/repo/file.gguf, optionally with @revision.</span>`
          : html`Llama, Qwen2 or Qwen3 architecture, in ${FORMATS}`}</p>
      </form>
      <ts-repository-list .repository=${this.repository}></ts-repository-list>
      <div class="picker-others">
        <label class="option file-option">
          ${icon('file')}<span><b>A file of yours</b><small>Choose a .gguf, or drop it anywhere</small></span>
          <input class="visually-hidden" type="file" accept=".gguf" data-testid="model-file" @change=${this.#file} />
        </label>
        <button type="button" class="option" data-testid="model-babble" @click=${() => this.emit('load-model', BABBLE_MODEL)}>
          ${icon('pulse')}<span><b>Tiny test model</b><small>Random weights: babble, proves the GPU path only</small></span>
        </button>
      </div>
    </div>`;
  }

  #loadDefault(): void {
    if (this.defaultModel?.available === true) this.emit('load-model', this.defaultModel.choice);
  }

  readonly #submit = (event: Event): void => {
    event.preventDefault();
    // The address that is filled in has no secrets, and the download may need them.
    const named: Address | undefined = this.link?.url === this.address ? this.link : parseAddress(this.address);
    if (named === undefined) this.refused = true;
    else if (named.kind === 'model') this.emit('load-model', named.choice);
    else this.emit('browse-repository', named.repository);
  };

  readonly #file = (event: Event): void => {
    const input = event.target as HTMLInputElement;
    const file = input.files?.[0];
    input.value = '';
    if (file !== undefined) this.emit('load-model', fileChoice(file));
  };
}

function defaultButton(model: DefaultModel & { available: true }, load: () => void): TemplateResult {
  return html`<button type="button" class="option is-default" data-testid="model-default" @click=${load}>
    ${mark}<span><b>${model.choice.label}</b><small>The default, from ${model.isFromHub === true ? 'huggingface.co' : 'this server'}${
      model.bytes > 0 ? html`: ${formatBytes(model.bytes)}` : nothing}</small></span>
  </button>`;
}
