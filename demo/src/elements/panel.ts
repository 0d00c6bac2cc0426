import { html, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import type { ModelState } from '../model-switch.ts';
import type { AnswerPace } from '../answer-pace.ts';
import type { AnswerStats } from '../conversation.ts';
import type { EngineRoom } from '../engine-room.ts';
import type { ProfilingState } from '../profiling.ts';
import type { SettingsState } from '../settings-state.ts';
import './developer-menu.ts';
import { icon } from './icons.ts';
import { LightElement } from './light-element.ts';
import { aboutCards } from './live-figures.ts';
import { residentCard } from './resident-card.ts';
import './settings-form.ts';
import './step-profile.ts';
import { tuningCard } from './tuning-card.ts';

/** Where the panel is a sheet over the chat. */
export const NARROW = matchMedia('(max-width: 900px)');

/** The engine room and the settings: beside the chat on a wide screen, a sheet over it on a narrow one. */
@customElement('ts-panel')
export class Panel extends LightElement {
  @property({ attribute: false }) open = false;
  @property({ attribute: false }) model: ModelState = { kind: 'starting' };
  /** It changes in place. */
  @property({ attribute: false, hasChanged: () => true }) engine: EngineRoom | undefined;
  @property({ attribute: false }) stats: AnswerStats | undefined;
  /** It changes in place. */
  @property({ attribute: false, hasChanged: () => true }) pace: AnswerPace | undefined;
  @property({ attribute: false }) profiling: ProfilingState = { kind: 'none' };
  /** It changes in place. */
  @property({ attribute: false, hasChanged: () => true }) settings: SettingsState | undefined;

  override connectedCallback(): void {
    super.connectedCallback();
    NARROW.addEventListener('change', this.#narrowed);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    NARROW.removeEventListener('change', this.#narrowed);
  }

  protected override render(): TemplateResult {
    const { model, engine, settings } = this;
    const info = model.kind === 'ready' ? model.info : undefined;
    const choice = model.kind === 'ready' ? model.choice : undefined;
    const isBusy = (engine?.metrics?.requestsRunning ?? 0) > 0;
    const canBreak = model.kind === 'ready' && engine?.recovery?.kind !== 'recovering';
    return html`
      <div class="backdrop ${this.open ? 'is-open' : ''}" @click=${() => this.emit('close-panel')}></div>
      <aside id="panel" class="panel ${this.open ? 'is-open' : ''}" aria-label="Engine room and settings"
        ?inert=${NARROW.matches && !this.open} tabindex="-1">
        <header class="panel-header">
          <h2><span class="live-dot ${isBusy ? 'is-busy' : ''}" aria-hidden="true"></span>Engine room</h2>
          <button type="button" class="link-button" data-testid="to-settings" @click=${this.#toSettings}>Settings</button>
          <button type="button" class="icon-button panel-close" aria-label="Close"
            @click=${() => this.emit('close-panel')}>${icon('close')}</button>
        </header>
        <ts-live-figures .engine=${engine} .stats=${this.stats} .pace=${this.pace} .info=${info} .choice=${choice}></ts-live-figures>
        <ts-step-profile .profiling=${this.profiling} .ready=${canBreak} .busy=${isBusy}></ts-step-profile>
        <ts-developer-menu .ready=${canBreak}></ts-developer-menu>
        ${settings === undefined ? nothing : html`<ts-settings-form .settings=${settings.values} .changed=${settings.isChanged}
          .recommendedBy=${settings.recommendation.by}></ts-settings-form>`}
        ${aboutCards(engine?.metrics?.adapter, info, choice?.label ?? '')}
        ${residentCard(engine?.metrics?.models)}
        ${tuningCard(engine?.metrics)}
      </aside>`;
  }

  protected override updated(changed: PropertyValues): void {
    if (changed.has('open') && this.open && NARROW.matches) this.querySelector<HTMLElement>('.panel-close')?.focus();
  }

  readonly #toSettings = (): void => this.showSettings();

  showSettings(): void {
    const form = this.querySelector<HTMLElement>('.settings'); // which keeps clear of the panel’s header
    form?.scrollIntoView({ block: 'start' });
    form?.querySelector<HTMLElement>('input')?.focus({ preventScroll: true });
  }

  readonly #narrowed = (): void => this.requestUpdate();
}
