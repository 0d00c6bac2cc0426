import { html, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { customElement, property, query } from 'lit/decorators.js';
import type { DefaultModel } from '../default-model.ts';
import { icon } from './icons.ts';
import { LightElement } from './light-element.ts';
import './model-picker.ts';

/** The model picker over the page, for changing a model that is loaded. */
@customElement('ts-model-dialog')
export class ModelDialog extends LightElement {
  @property({ attribute: false }) open = false;
  @property({ attribute: false }) defaultModel: DefaultModel | undefined;
  @query('dialog') private readonly dialog!: HTMLDialogElement | null;

  protected override render(): TemplateResult {
    return html`<dialog class="model-dialog" aria-labelledby="model-dialog-title"
      @close=${() => this.emit('close-dialog')} @click=${this.#click}>
      ${this.open ? html`<div class="dialog-body">
        <header><h2 id="model-dialog-title">Choose a model</h2>
          <button type="button" class="icon-button" aria-label="Close" @click=${() => this.dialog?.close()}>${icon('close')}</button>
        </header>
        <ts-model-picker .defaultModel=${this.defaultModel}></ts-model-picker>
      </div>` : nothing}
    </dialog>`;
  }

  protected override updated(changed: PropertyValues): void {
    if (!changed.has('open')) return;
    if (this.open) this.dialog?.showModal();
    else this.dialog?.close();
  }

  /** A click that hits the dialog itself, and nothing in it, is on its backdrop. */
  readonly #click = (event: Event): void => {
    if (event.target === this.dialog) this.dialog?.close();
  };
}
