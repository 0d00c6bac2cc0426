import { html, type PropertyValues, type TemplateResult } from 'lit';
import { customElement, property, query, state } from 'lit/decorators.js';
import { icon } from './icons.ts';
import { LightElement } from './light-element.ts';

/** Where the user writes. Enter sends, Shift+Enter starts a line; writing is possible before the model is there. */
@customElement('ts-composer')
export class Composer extends LightElement {
  @property({ attribute: false }) ready = false;
  @property({ attribute: false }) generating = false;
  @state() private text = '';
  @query('textarea') private readonly field!: HTMLTextAreaElement | null;

  protected override render(): TemplateResult {
    const canSend = this.ready && this.text.trim() !== '';
    return html`<form class="composer" @submit=${this.#submit}>
      <div class="composer-box">
        <label class="visually-hidden" for="prompt">Your message</label>
        <textarea id="prompt" data-testid="prompt" rows="1" autocomplete="off" enterkeyhint="send"
          placeholder="Ask anything"
          .value=${this.text} @input=${this.#input} @keydown=${this.#key}></textarea>
        ${this.generating
          ? html`<button type="button" class="round-button" data-testid="stop" aria-label="Stop the answer" title="Stop (Esc)"
              @click=${() => this.emit('stop-answer')}>${icon('stop')}</button>`
          : html`<button type="submit" class="round-button" data-testid="send" aria-label="Send" title=${this.ready ? 'Send (Enter)' : 'The model is not here yet'}
              ?disabled=${!canSend}>${icon('send')}</button>`}
      </div>
      <p class="composer-note">Runs on this device. Nothing you write leaves it.</p>
    </form>`;
  }

  protected override updated(changed: PropertyValues): void {
    if (changed.has('text')) this.#grow();
  }

  override firstUpdated(): void {
    // On a touch screen the focus would pull up the keyboard over the page.
    if (matchMedia('(pointer: fine)').matches) this.field?.focus();
  }

  readonly #input = (event: InputEvent): void => {
    this.text = (event.target as HTMLTextAreaElement).value;
  };

  readonly #key = (event: KeyboardEvent): void => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    this.#submit(event);
  };

  readonly #submit = (event: Event): void => {
    event.preventDefault();
    if (!this.ready || this.generating || this.text.trim() === '') return;
    this.emit('send-prompt', this.text.trim());
    this.text = '';
  };

  #grow(): void {
    const { field } = this;
    if (field === null) return;
    field.style.height = 'auto';
    field.style.height = `${field.scrollHeight}px`;
  }
}
