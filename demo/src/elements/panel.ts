import { html, type PropertyValues, type TemplateResult } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import type { EngineMetrics } from '../../../src/index.ts';
import type { ModelState } from '../chat-controller.ts';
import type { AnswerStats } from '../conversation.ts';
import { DEFAULT_SETTINGS, type Settings } from '../settings.ts';
import { icon } from './icons.ts';
import { LightElement } from './light-element.ts';
import './live-figures.ts';
import './settings-form.ts';

const NARROW = matchMedia('(max-width: 900px)');

/** Live figures and settings: beside the chat on a wide screen, a sheet over it on a narrow one. */
@customElement('ts-panel')
export class Panel extends LightElement {
  @property({ attribute: false }) open = false;
  @property({ attribute: false }) busy = false;
  @property({ attribute: false }) model: ModelState = { kind: 'starting' };
  @property({ attribute: false }) metrics: EngineMetrics | undefined;
  @property({ attribute: false }) stats: AnswerStats | undefined;
  @property({ attribute: false }) samples: readonly number[] = [];
  @property({ attribute: false }) settings: Settings = DEFAULT_SETTINGS;

  override connectedCallback(): void {
    super.connectedCallback();
    NARROW.addEventListener('change', this.#narrowed);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    NARROW.removeEventListener('change', this.#narrowed);
  }

  protected override render(): TemplateResult {
    const info = this.model.kind === 'ready' ? this.model.info : undefined;
    return html`
      <div class="backdrop ${this.open ? 'is-open' : ''}" @click=${() => this.emit('close-panel')}></div>
      <aside id="panel" class="panel ${this.open ? 'is-open' : ''}" aria-label="Live figures and settings"
        ?inert=${NARROW.matches && !this.open} tabindex="-1">
        <header class="panel-header">
          <h2><span class="live-dot ${this.busy ? 'is-busy' : ''}" aria-hidden="true"></span>Live</h2>
          <button type="button" class="icon-button panel-close" aria-label="Close"
            @click=${() => this.emit('close-panel')}>${icon('close')}</button>
        </header>
        <ts-live-figures .metrics=${this.metrics} .stats=${this.stats} .samples=${this.samples} .info=${info}></ts-live-figures>
        <ts-settings-form .settings=${this.settings}></ts-settings-form>
      </aside>`;
  }

  protected override updated(changed: PropertyValues): void {
    if (changed.has('open') && this.open && NARROW.matches) this.querySelector<HTMLElement>('.panel-close')?.focus();
  }

  readonly #narrowed = (): void => this.requestUpdate();
}
