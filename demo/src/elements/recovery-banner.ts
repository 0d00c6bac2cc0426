import { html, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import type { Recovery } from '../engine-room.ts';
import { formatDuration } from '../format.ts';
import { icon } from './icons.ts';
import { LightElement } from './light-element.ts';

/** How long the good news stays. */
const BACK_MS = 4000;
const TICK_MS = 250;

/** Tells that the engine was lost, what is done about it, and when it is back. Emits `dismiss-recovery` when it has. */
@customElement('ts-recovery-banner')
export class RecoveryBanner extends LightElement {
  @property({ attribute: false }) recovery: Recovery | undefined;
  /** The page's clock, in milliseconds. */
  @property({ attribute: false }) now: () => number = () => performance.now();
  @state() private time = 0;
  #ticking: ReturnType<typeof setInterval> | undefined;
  #leaving: ReturnType<typeof setTimeout> | undefined;

  /** Always there, so that what comes into it is read out. */
  protected override render(): TemplateResult {
    return html`<div class="recovery-place" role="status">${this.#banner()}</div>`;
  }

  #banner(): TemplateResult | typeof nothing {
    const { recovery } = this;
    if (recovery === undefined) return nothing;
    if (recovery.kind === 'back') {
      const { value, unit } = formatDuration(recovery.afterMs);
      return html`<div class="recovery is-back" data-testid="recovery" data-state="back">${icon('check')}
        <p><b>The engine is back</b> after ${value} ${unit}. Answers go on where they were.</p></div>`;
    }
    const { cause, attempt, retryAt } = recovery;
    return html`<div class="recovery" data-testid="recovery" data-state="recovering"><span class="spinner" aria-hidden="true"></span>
      <div><p><b>Getting the engine back.</b> ${cause}</p>
      <p class="help">Answers wait, and go on by themselves. Try ${attempt}: <span aria-live="off">${
        retryAt === undefined ? 'under way' : `in ${secondsUntil(retryAt, this.time)}`}</span></p></div></div>`;
  }

  protected override willUpdate(changed: PropertyValues): void {
    if (changed.has('recovery')) this.time = this.now();
  }

  protected override updated(changed: PropertyValues): void {
    if (!changed.has('recovery')) return;
    this.#stop();
    if (this.recovery?.kind === 'back') {
      this.#leaving = setTimeout(() => this.emit('dismiss-recovery'), BACK_MS);
    } else if (this.recovery?.retryAt !== undefined) {
      this.#ticking = setInterval(() => { this.time = this.now(); }, TICK_MS);
    }
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#stop();
  }

  #stop(): void {
    clearInterval(this.#ticking);
    clearTimeout(this.#leaving);
  }
}

function secondsUntil(time: number, now: number): string {
  return `${Math.max(0, Math.ceil((time - now) / 1000))} s`;
}
