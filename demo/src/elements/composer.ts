import { html, type PropertyValues, type TemplateResult } from 'lit';
import { customElement, property, query, state } from 'lit/decorators.js';
import { icon } from './icons.ts';
import { LightElement } from './light-element.ts';

/** Where the user writes. Enter sends, Shift+Enter starts a line; writing is possible before the model is there. */
@customElement('ts-composer')
export class Composer extends LightElement {
  @property({ attribute: false }) ready = false;
  @property({ attribute: false }) generating = false;
  /** Why what is said is not kept, where it is not. */
  @property({ attribute: false }) trouble: string | undefined;
  @state() private text = '';
  @query('textarea') private readonly field!: HTMLTextAreaElement | null;

  /** One button, which sends or stops: a button that vanished under the finger would take the focus with it. */
  protected override render(): TemplateResult {
    const { generating } = this;
    const idle = this.ready ? 'Send (Enter)' : 'The model is not here yet';
    return html`<form class="composer" @submit=${this.#submit}>
      <div class="composer-box">
        <label class="visually-hidden" for="prompt">Your message</label>
        <textarea id="prompt" data-testid="prompt" rows="1" autocomplete="off" enterkeyhint="send"
          dir="auto" placeholder="Ask anything"
          .value=${this.text} @input=${this.#input} @keydown=${this.#key}></textarea>
        <button type="submit" class="round-button" data-testid=${generating ? 'stop' : 'send'}
          aria-label=${generating ? 'Stop the answer' : 'Send'} title=${generating ? 'Stop (Esc)' : idle}
          aria-disabled=${!generating && !this.#canSend}>${icon(generating ? 'stop' : 'send')}</button>
      </div>
      <p class="composer-note" role="status" data-testid="composer-note">${this.trouble === undefined ? 'Runs on this device. Nothing you write leaves it.'
        : html`This chat is not kept: save it before you leave. <span title=${this.trouble}>(The browser refused to store it.)</span>`}</p>
    </form>`;
  }

  protected override updated(changed: PropertyValues): void {
    if (changed.has('text')) this.#grow();
  }

  override firstUpdated(): void {
    this.takeFocus();
  }

  /** Lets the user write on, except on a touch screen, where the focus would pull up the keyboard over the page. */
  takeFocus(): void {
    if (matchMedia('(pointer: fine)').matches) this.field?.focus();
  }

  get #canSend(): boolean {
    return this.ready && this.text.trim() !== '';
  }

  readonly #input = (event: InputEvent): void => {
    this.text = (event.target as HTMLTextAreaElement).value;
  };

  readonly #key = (event: KeyboardEvent): void => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (!this.generating) this.#send();
  };

  readonly #submit = (event: Event): void => {
    event.preventDefault();
    if (this.generating) this.emit('stop-answer');
    else this.#send();
    this.takeFocus();
  };

  #send(): void {
    if (!this.#canSend) return;
    this.emit('send-prompt', this.text.trim());
    this.text = '';
  }

  #grow(): void {
    const { field } = this;
    if (field === null) return;
    field.style.height = 'auto';
    field.style.height = `${field.scrollHeight}px`;
  }
}
