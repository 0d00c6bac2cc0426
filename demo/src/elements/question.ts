import { html, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { customElement, property, query, state } from 'lit/decorators.js';
import type { UserTurn } from '../conversation.ts';
import { icon } from './icons.ts';
import { LightElement } from './light-element.ts';

/** More than this, and a question is shown in part: about a dozen lines on a wide screen. */
const LONG_CHARACTERS = 800;
const LONG_LINES = 12;

/** The user's question, as it was written. It can be edited: bubbles `edit-question` with its id and the new text. */
@customElement('ts-question')
export class Question extends LightElement {
  @property({ attribute: false }) turn: UserTurn | undefined;
  /** Whether it can be asked again. */
  @property({ attribute: false }) ready = false;
  @state() private expanded = false;
  @state() private editing = false;
  @query('textarea') private readonly field!: HTMLTextAreaElement | null;

  protected override render(): TemplateResult {
    return html`<article class="question" aria-label="You">${this.editing ? this.#form() : this.#bubble()}</article>`;
  }

  #bubble(): TemplateResult {
    const text = this.turn?.content ?? '';
    const isLong = text.length > LONG_CHARACTERS || text.split('\n').length > LONG_LINES;
    const isCut = isLong && !this.expanded;
    return html`
      ${this.ready ? html`<button type="button" class="small-button" data-testid="edit-question" aria-label="Edit the question"
        title="Edit, and ask from here" @click=${() => { this.editing = true; }}>${icon('edit')}</button>` : nothing}
      <div class="bubble">
        <p data-testid="question" dir="auto" class=${isCut ? 'is-cut' : ''}>${text}</p>
        ${isLong ? html`<button type="button" class="link-button" data-testid="question-more" aria-expanded=${this.expanded}
          @click=${() => { this.expanded = !this.expanded; }}>${isCut ? 'Show more' : 'Show less'}</button>` : nothing}
      </div>`;
  }

  #form(): TemplateResult {
    return html`<form class="bubble is-editing" @submit=${this.#submit} @keydown=${this.#key}>
      <textarea aria-label="Your question" data-testid="edit-text" dir="auto" rows="3" enterkeyhint="send"
        .value=${this.turn?.content ?? ''}></textarea>
      <p class="help">The chat goes on from here. As it was, it stays under Chats.</p>
      <div class="row">
        <button type="button" class="button" @click=${() => this.#close()}>Cancel</button>
        <button type="submit" class="button is-primary" data-testid="edit-send" ?disabled=${!this.ready}>Ask again</button>
      </div>
    </form>`;
  }

  protected override updated(changed: PropertyValues): void {
    if (changed.get('editing') === false && this.editing) {
      this.field?.focus();
      this.field?.setSelectionRange(this.field.value.length, this.field.value.length);
    }
  }

  readonly #key = (event: KeyboardEvent): void => {
    if (event.key === 'Escape') {
      event.preventDefault(); // it would stop an answer
      this.#close();
    } else if (event.key === 'Enter' && !event.shiftKey && !event.isComposing && event.target === this.field) {
      event.preventDefault();
      this.#submit(event);
    }
  };

  readonly #submit = (event: Event): void => {
    event.preventDefault();
    const text = this.field?.value.trim() ?? '';
    if (text === '' || !this.ready || this.turn === undefined) return;
    this.editing = false;
    this.emit('edit-question', { id: this.turn.id, text });
  };

  /** The focus goes back to what opened the form. */
  #close(): void {
    this.editing = false;
    void this.updateComplete.then(() => this.querySelector<HTMLElement>('[data-testid=edit-question]')?.focus());
  }
}
