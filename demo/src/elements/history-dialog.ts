import { html, nothing, type TemplateResult } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { repeat } from 'lit/directives/repeat.js';
import type { ChatHistory } from '../chat-history.ts';
import type { ConversationSummary } from '../conversation-store.ts';
import { formatAgo } from '../format.ts';
import './confirm-button.ts';
import { DialogElement } from './dialog-element.ts';
import { icon } from './icons.ts';

/**
 * The conversations that are kept. Emits `open-chat` and `remove-chat` with an id, and `export-chat` with `markdown` or
 * `json` for the one that is open.
 */
@customElement('ts-history-dialog')
export class HistoryDialog extends DialogElement {
  /** It changes in place. */
  @property({ attribute: false, hasChanged: () => true }) history: ChatHistory | undefined;
  protected readonly heading = 'Chats';

  protected body(): TemplateResult {
    const { summaries = [], trouble, turns = [] } = this.history ?? {};
    return html`
      ${trouble === undefined ? nothing : html`<p class="help is-bad" role="alert">${trouble}</p>`}
      ${summaries.length === 0 ? html`<p class="help">Nothing has been said yet. Chats are kept in this browser, and nowhere else.</p>`
        : html`<ul class="rows">${repeat(summaries, ({ id }) => id, (summary) => this.#row(summary))}</ul>
          <p class="help">Kept in this browser, and nowhere else.</p>`}
      <div class="export">
        <h3>This chat</h3>
        <button type="button" class="button is-small" data-testid="export-markdown" ?disabled=${turns.length === 0}
          @click=${() => this.emit('export-chat', 'markdown')}>${icon('save')}Save as Markdown</button>
        <button type="button" class="button is-small" data-testid="export-json" ?disabled=${turns.length === 0}
          @click=${() => this.emit('export-chat', 'json')}>${icon('save')}Save as JSON</button>
      </div>`;
  }

  #row({ id, title, updatedAt }: ConversationSummary): TemplateResult {
    const isOpen = id === this.history?.id;
    return html`<li data-testid="chat" data-open=${isOpen}>
      <button type="button" class="row-text" data-testid="open-chat" aria-current=${isOpen} @click=${() => this.emit('open-chat', id)}>
        <b dir="auto">${title}</b><small>${isOpen ? 'open here · ' : ''}${formatAgo(updatedAt)}</small></button>
      <ts-confirm-button .subject=${`“${title}”`} .value=${id} @confirmed=${this.#remove}></ts-confirm-button>
    </li>`;
  }

  readonly #remove = (event: CustomEvent<string>): void => {
    this.emit('remove-chat', event.detail);
    this.focusHeading();
  };
}
