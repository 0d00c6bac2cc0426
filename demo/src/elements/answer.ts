import { html, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { unsafeHTML } from 'lit/directives/unsafe-html.js';
import { isRunning, type AnswerStats, type AnswerTurn } from '../conversation.ts';
import { formatDuration, formatRate } from '../format.ts';
import type { Block } from '../growing-markdown.ts';
import { createMarkdown } from '../markdown.ts';
import type { Remedy } from '../problem-words.ts';
import { icon } from './icons.ts';
import { LightElement } from './light-element.ts';
import { problemCard } from './problem-card.ts';

const COPIED_MS = 1500;

/**
 * One answer: its Markdown as it streams in, how it ended, and what it cost. Bubbles `regenerate` with its id, and
 * `continue-answer`.
 */
@customElement('ts-answer')
export class Answer extends LightElement {
  @property({ attribute: false }) turn: AnswerTurn | undefined;
  /** Whether it can be asked for again. */
  @property({ attribute: false }) ready = false;
  /** Whether it can go on from where it was ended. */
  @property({ attribute: false }) continuable = false;
  /** Whether the page tells elsewhere what went wrong. */
  @property({ attribute: false }) problemShown = false;
  readonly #markdown = createMarkdown();
  /** Where the text grows. */
  #tip: Element | undefined;

  protected override render(): TemplateResult {
    const { turn } = this;
    if (turn === undefined) return html``;
    const running = isRunning(turn);
    const blocks = running ? this.#markdown.grow(turn.content) : this.#markdown.complete(turn.content);
    return html`<article class="answer" aria-label="Answer" data-state=${turn.state.kind} @click=${this.#copyCode}
      @problem-remedy=${this.#remedy}>
      <div class="markdown" data-testid="answer">${blocks.map(blockTemplate)}</div>
      ${turn.content === '' && running
        ? html`<p class="waiting"><span class="visually-hidden">Waiting for the first word</span></p>` : nothing}
      ${turn.state.kind === 'failed' && !this.problemShown ? problemCard(turn.state.problem, this.ready || turn.state.problem.remedy !== 'retry') : nothing}
      ${running ? nothing : this.#footer(turn)}
    </article>`;
  }

  /** Blocks of Markdown come and go as they grow, so the cursor is put after each. */
  protected override updated(_changed: PropertyValues): void {
    this.#tip?.removeAttribute('data-tip');
    const text = this.turn?.state.kind === 'streaming' ? this.querySelector('.markdown') : null;
    this.#tip = text === null ? undefined : lastBlock(text);
    this.#tip?.setAttribute('data-tip', '');
  }

  #footer(turn: AnswerTurn): TemplateResult {
    return html`<footer class="answer-footer">
      <div class="answer-actions">
        <button type="button" class="small-button" data-testid="copy-answer" aria-label="Copy the answer" title="Copy"
          ?disabled=${turn.content === ''} @click=${this.#copyAll}>${icon('copy')}</button>
        ${this.ready ? html`<button type="button" class="small-button" data-testid="regenerate"
          aria-label="Answer again" title="Answer again" @click=${() => this.emit('regenerate', turn.id)}>${icon('retry')}</button>` : nothing}
      </div>
      ${endNote(turn)}
      ${this.continuable ? html`<button type="button" class="link-button" data-testid="continue"
        @click=${() => this.emit('continue-answer')}>Continue</button>` : nothing}
      ${figures(turn)}
    </footer>`;
  }

  /** To try again is to ask for this answer, whichever it is. */
  readonly #remedy = (event: CustomEvent<Remedy>): void => {
    if (event.detail !== 'retry' || !this.ready) return;
    event.stopPropagation();
    this.emit('regenerate', this.turn?.id);
  };

  readonly #copyAll = (event: Event): void => {
    void this.#copy(event.currentTarget as HTMLButtonElement, this.turn?.content ?? '');
  };

  /** The buttons of code blocks may come out of the Markdown, so they are listened to from here. */
  readonly #copyCode = (event: Event): void => {
    const button = (event.target as Element).closest<HTMLButtonElement>('button[data-copy]');
    const code = button?.closest('figure')?.querySelector('code')?.textContent;
    if (button && code) void this.#copy(button, code);
  };

  async #copy(button: HTMLButtonElement, text: string): Promise<void> {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      this.emit('announce', 'This browser did not let the page copy.');
      return;
    }
    this.emit('announce', 'Copied');
    button.dataset['copied'] = '';
    setTimeout(() => delete button.dataset['copied'], COPIED_MS);
  }
}

function blockTemplate(block: Block): TemplateResult | ReturnType<typeof unsafeHTML> {
  if (block.kind === 'html') return unsafeHTML(block.html);
  if (block.kind === 'text') return html`<p dir="auto">${block.text}</p>`;
  return html`<figure class="code" dir="ltr"><figcaption><span>${block.language}</span>
    <button type="button" data-copy aria-label="Copy code">Copy</button></figcaption>
    <pre tabindex="0"><code>${block.text}</code></pre></figure>`;
}

const BLOCKS = new Set(['P', 'UL', 'OL', 'LI', 'BLOCKQUOTE', 'FIGURE', 'PRE', 'DIV', 'TABLE', 'TBODY', 'TR', 'TD', 'THEAD', 'TH']);

/** The innermost block at the end of a text. */
function lastBlock(text: Element): Element | undefined {
  let last = text.lastElementChild ?? undefined;
  while (last !== undefined && BLOCKS.has(last.tagName)) {
    const inner: Element | null = last.lastElementChild;
    const isCode = last.tagName === 'PRE';
    if (inner === null || !(isCode || BLOCKS.has(inner.tagName))) break;
    last = inner;
  }
  return last;
}

function endNote({ state, content }: AnswerTurn): TemplateResult | typeof nothing {
  if (state.kind === 'stopped') return html`<span class="end-note">Stopped</span>`;
  if (state.kind === 'length') return html`<span class="end-note">Cut at the token limit</span>`;
  if (state.kind === 'failed') return html`<span class="end-note">${content === '' ? 'No answer' : 'Incomplete'}</span>`;
  return nothing;
}

/** Which model wrote it, and what that cost. */
function figures({ model, stats }: AnswerTurn): TemplateResult | typeof nothing {
  if (model === undefined && stats === undefined) return nothing;
  return html`<span class="figures" data-testid="answer-stats">
    ${model === undefined ? nothing : html`<span class="author" data-testid="answer-model">${model.name}</span>`}
    ${stats === undefined ? nothing : costs(stats)}
  </span>`;
}

function costs({ ttft_ms, tokens_per_second, tokens }: AnswerStats): TemplateResult {
  const ttft = formatDuration(ttft_ms);
  return html`<span>${ttft.value} ${ttft.unit} to first token</span>
    <span>${formatRate(tokens_per_second)} tok/s</span>
    <span>${tokens} ${tokens === 1 ? 'token' : 'tokens'}</span>`;
}
