import { html, type PropertyValues, type TemplateResult } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { LightElement } from './light-element.ts';

const TICK_MS = 250;

/** Counts down to a moment, in words that stand behind an error: `There should be room in 3 s.` */
@customElement('ts-countdown')
export class Countdown extends LightElement {
  /** Milliseconds since 1970. */
  @property({ attribute: false }) until = 0;
  @state() private now = Date.now();
  #ticking: ReturnType<typeof setInterval> | undefined;

  protected override render(): TemplateResult {
    const seconds = Math.ceil((this.until - this.now) / 1000);
    return html`<span data-testid="countdown" aria-live="off">${seconds > 0 ? `There should be room in ${seconds} s.` : 'There should be room now.'}</span>`;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.#ticking = setInterval(() => this.#tick(), TICK_MS);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    clearInterval(this.#ticking);
  }

  protected override willUpdate(changed: PropertyValues): void {
    if (changed.has('until')) this.now = Date.now();
  }

  #tick(): void {
    this.now = Date.now();
    if (this.now >= this.until) clearInterval(this.#ticking);
  }
}
