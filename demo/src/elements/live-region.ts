import { html, type PropertyValues, type TemplateResult } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { repeat } from 'lit/directives/repeat.js';
import { isRunning, type Turn } from '../conversation.ts';
import { SpokenAnswer } from '../spoken-answer.ts';
import { LightElement } from './light-element.ts';

/** How many of the latest messages stay: what is taken away too early is not read out. */
const KEPT = 4;

interface Message {
  readonly id: number;
  readonly text: string;
}

/**
 * Says to a screen reader, politely, what comes: the answer by whole sentences as it streams, how it ended, and what the
 * page announces. Only what comes while the page is open: a conversation of before is there to be read.
 */
@customElement('ts-live-region')
export class LiveRegion extends LightElement {
  @property({ attribute: false }) turn: Turn | undefined;
  @state() private messages: readonly Message[] = [];
  #spoken: { readonly id: string; readonly answer: SpokenAnswer } | undefined;
  #count = 0;

  protected override render(): TemplateResult {
    return html`<div class="visually-hidden" role="log" aria-live="polite" aria-label="Announcements" data-testid="live-region">
      ${repeat(this.messages, ({ id }) => id, ({ text }) => html`<p>${text}</p>`)}</div>`;
  }

  say(text: string): void {
    if (text !== '') this.messages = [...this.messages.slice(1 - KEPT), { id: this.#count++, text }];
  }

  protected override willUpdate(changed: PropertyValues): void {
    const { turn } = this;
    if (!changed.has('turn') || turn?.role !== 'assistant') return;
    const running = isRunning(turn);
    if (running && this.#spoken?.id !== turn.id) this.#spoken = { id: turn.id, answer: new SpokenAnswer() };
    if (this.#spoken?.id !== turn.id) return;
    this.say(this.#spoken.answer.next(turn.content, !running));
    if (running) return;
    this.#spoken = undefined;
    if (turn.state.kind === 'stopped') this.say('The answer was stopped.');
    if (turn.state.kind === 'length') this.say('The answer was cut at the token limit.');
  }
}
