import { html, nothing, type TemplateResult } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import type { DefaultModel } from '../default-model.ts';
import { formatBytes } from '../format.ts';
import { addressChoice, BABBLE_MODEL, fileChoice } from '../model-choice.ts';
import { icon, mark } from './icons.ts';
import { LightElement } from './light-element.ts';

/** Every way to name a model. Bubbles `load-model` with a ModelChoice. */
@customElement('ts-model-picker')
export class ModelPicker extends LightElement {
  @property({ attribute: false }) defaultModel: DefaultModel | undefined;
  @state() private address = '';
  @state() private refused = false;

  protected override render(): TemplateResult {
    return html`<div class="picker">
      ${this.defaultModel?.available === true ? defaultButton(this.defaultModel, () => this.#loadDefault()) : nothing}
      <form class="picker-address" @submit=${this.#submit}>
        <label for="model-url">Address of a GGUF file</label>
        <div class="field-row">
          <input id="model-url" data-testid="model-url" type="text" inputmode="url" spellcheck="false" autocapitalize="off"
            autocomplete="off" placeholder="https://… or hf:owner/repo/file.gguf" .value=${this.address}
            aria-invalid=${this.refused} aria-describedby="model-url-help"
            @input=${(event: InputEvent) => { this.address = (event.target as HTMLInputElement).value; this.refused = false; }} />
          <button type="submit" class="button" data-testid="model-load" ?disabled=${this.address.trim() === ''}>Load</button>
        </div>
        <p class="help" id="model-url-help">${this.refused
          ? html`<span role="alert">Give an https address, or hf:owner/repo/file.gguf, optionally with @revision.</span>`
          : html`Llama, Qwen2 or Qwen3 architecture, in Q4_0, Q4_1, Q8_0, F16, BF16 or F32`}</p>
      </form>
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
    const choice = addressChoice(this.address);
    if (choice === undefined) this.refused = true;
    else this.emit('load-model', choice);
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
