import { html, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { property, query } from 'lit/decorators.js';
import { icon } from './icons.ts';
import { LightElement } from './light-element.ts';

/**
 * A dialog over the page. The browser keeps the focus in it, closes it on Escape and gives the focus back; a click beside
 * it closes it too. Emits `close-dialog` when it is closed.
 */
export abstract class DialogElement extends LightElement {
  @property({ attribute: false }) open = false;
  @query('dialog') private readonly dialog!: HTMLDialogElement | null;

  protected abstract readonly heading: string;
  /** The content while it is open. */
  protected abstract body(): TemplateResult;

  protected override render(): TemplateResult {
    const id = `${this.localName}-title`;
    return html`<dialog class="dialog" aria-labelledby=${id}
      @close=${() => this.emit('close-dialog')} @click=${this.#click}>
      <div class="dialog-body">
        <div class="dialog-header"><h2 id=${id} tabindex="-1">${this.heading}</h2>
          <button type="button" class="icon-button" aria-label="Close" @click=${() => this.dialog?.close()}>${icon('close')}</button>
        </div>
        ${this.open ? this.body() : nothing}
      </div>
    </dialog>`;
  }

  protected override updated(changed: PropertyValues): void {
    if (!changed.has('open') || this.open === this.dialog?.open) return;
    if (this.open) this.dialog?.showModal();
    else this.dialog?.close();
  }

  /** After what had the focus is gone. */
  protected focusHeading(): void {
    this.querySelector('h2')?.focus();
  }

  /** A click that hits the dialog itself, and nothing in it, is on its backdrop. */
  readonly #click = (event: Event): void => {
    if (event.target === this.dialog) this.dialog?.close();
  };
}
