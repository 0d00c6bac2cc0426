import { html, type PropertyValues, type TemplateResult } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { icon } from './icons.ts';
import { LightElement } from './light-element.ts';

/** A button that deletes, and asks first where it stands. Bubbles `confirmed` with its value. */
@customElement('ts-confirm-button')
export class ConfirmButton extends LightElement {
  /** The name of the item to delete, for screen readers. */
  @property({ attribute: false }) subject = '';
  @property({ attribute: false }) value: unknown;
  @state() private asking = false;

  protected override render(): TemplateResult {
    if (!this.asking) {
      return html`<button type="button" class="small-button" data-testid="delete" aria-label="Delete ${this.subject}" title="Delete"
        @click=${() => { this.asking = true; }}>${icon('trash')}</button>`;
    }
    return html`<span class="confirm" role="group" aria-label="Delete ${this.subject}?" @keydown=${this.#key}>
      <button type="button" class="button is-danger" data-testid="delete-confirm" @click=${this.#confirm}>Delete</button>
      <button type="button" class="button" data-testid="delete-cancel" @click=${() => this.#close()}>Keep</button>
    </span>`;
  }

  protected override updated(changed: PropertyValues): void {
    if (!changed.has('asking') || changed.get('asking') === undefined) return;
    this.querySelector<HTMLElement>(this.asking ? '[data-testid=delete-cancel]' : '[data-testid=delete]')?.focus();
  }

  #close(): void {
    this.asking = false;
  }

  readonly #confirm = (): void => {
    this.asking = false;
    this.emit('confirmed', this.value);
  };

  readonly #key = (event: KeyboardEvent): void => {
    if (event.key !== 'Escape') return;
    event.preventDefault(); // it would close the dialog
    this.#close();
  };
}
