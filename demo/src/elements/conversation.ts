import { html, nothing, type TemplateResult } from 'lit';
import { customElement, property, query, state } from 'lit/decorators.js';
import { repeat } from 'lit/directives/repeat.js';
import type { ModelState } from '../model-switch.ts';
import { isRunning, type Turn } from '../conversation.ts';
import type { DefaultModel } from '../default-model.ts';
import type { ModelCache } from '../model-cache.ts';
import type { RepositoryState } from '../repository.ts';
import { icon } from './icons.ts';
import { LightElement } from './light-element.ts';
import './answer.ts';
import './live-region.ts';
import './model-stage.ts';
import './question.ts';
import './welcome.ts';

/** Nearer to the end than this, in pixels, the reader follows the text. */
const FOLLOW_DISTANCE = 64;

/** The scrolling part of the page: the turns, and below them how the model is doing while it is not ready. */
@customElement('ts-conversation')
export class Conversation extends LightElement {
  @property({ attribute: false }) turns: readonly Turn[] = [];
  @property({ attribute: false }) model: ModelState = { kind: 'starting' };
  @property({ attribute: false }) defaultModel: DefaultModel | undefined;
  /** It changes in place. */
  @property({ attribute: false, hasChanged: () => true }) cache: ModelCache | undefined;
  /** The answer that can go on, by its id. */
  @property({ attribute: false }) continuable: string | undefined;
  @property({ attribute: false }) repository: RepositoryState | undefined;
  @state() private following = true;
  @query('.scroller') private readonly scroller!: HTMLElement | null;
  @query('.turns') private readonly content!: HTMLElement | null;

  #lastTop = 0;
  readonly #resized = new ResizeObserver(() => this.#follow());

  protected override render(): TemplateResult {
    const last = this.turns.at(-1);
    const isReady = this.model.kind === 'ready';
    const canAsk = isReady && !isRunning(last);
    return html`
      ${this.#hasHeading ? nothing : html`<h1 class="visually-hidden">Conversation</h1>`}
      <div class="scroller" @scroll=${this.#scrolled} tabindex="0" role="region" aria-label="Conversation">
        <div class="turns">
          <div class="log" role="log" aria-live="off" aria-label="Questions and answers" aria-busy=${isRunning(last)}>
            ${repeat(this.turns, (turn) => turn.id, (turn) => turn.role === 'user'
              ? html`<ts-question .turn=${turn} .ready=${canAsk}></ts-question>`
              : html`<ts-answer .turn=${turn} .ready=${canAsk} .continuable=${canAsk && turn.id === this.continuable}
                .problemShown=${turn === last && this.model.kind === 'failed'}></ts-answer>`)}
          </div>
          <ts-model-stage .model=${this.model} .inChat=${this.turns.length > 0} .defaultModel=${this.defaultModel}
            .cache=${this.cache} .repository=${this.repository}></ts-model-stage>
          ${this.turns.length === 0 && this.model.kind === 'ready'
            ? html`<ts-welcome .babble=${this.model.choice.babble}></ts-welcome>` : nothing}
        </div>
      </div>
      <ts-live-region .turn=${last}></ts-live-region>
      ${this.following || this.turns.length === 0 ? nothing : html`<button type="button" class="to-end"
        aria-label="Go to the end" title="Go to the end" @click=${this.#toEnd}>${icon('down')}</button>`}
    `;
  }

  /** Whether what is shown instead of a conversation begins with a heading of its own. */
  get #hasHeading(): boolean {
    const { kind } = this.model;
    const asks = this.model.kind === 'none' && (this.model.offer !== undefined || this.defaultModel?.available === false);
    return this.turns.length === 0 && (kind === 'ready' || kind === 'unsupported' || asks);
  }

  protected override firstUpdated(): void {
    if (this.content !== null) this.#resized.observe(this.content);
  }

  protected override willUpdate(changed: Map<PropertyKey, unknown>): void {
    const before = changed.get('turns') as readonly Turn[] | undefined;
    if (before !== undefined && this.turns.length > before.length) this.following = true;
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#resized.disconnect();
  }

  /** Scrolling up means reading: the text then grows without moving. */
  readonly #scrolled = (): void => {
    const { scroller } = this;
    if (scroller === null) return;
    const distance = scroller.scrollHeight - scroller.clientHeight - scroller.scrollTop;
    if (distance < FOLLOW_DISTANCE) this.following = true;
    else if (scroller.scrollTop < this.#lastTop) this.following = false;
    this.#lastTop = scroller.scrollTop;
  };

  /** The button goes with the click, so the focus goes to where it led. */
  readonly #toEnd = (): void => {
    this.following = true;
    this.scroller?.focus({ preventScroll: true });
    this.#follow();
  };

  #follow(): void {
    if (this.following && this.turns.length > 0) this.scroller?.scrollTo({ top: this.scroller.scrollHeight });
  }
}
