import { html, type TemplateResult } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { DEFAULT_SETTINGS, type Settings } from '../settings.ts';
import { LightElement } from './light-element.ts';
import { styles } from './styles.ts';

const MAX_TOKENS_LIMIT = 8192;

/** How answers are sampled. Bubbles `change-settings` with what changed. */
@customElement('ts-settings-form')
export class SettingsForm extends LightElement {
  @property({ attribute: false }) settings: Settings = DEFAULT_SETTINGS;

  protected override render(): TemplateResult {
    const { temperature, maxTokens, systemPrompt } = this.settings;
    return html`<form class="settings" aria-label="Settings" @submit=${(event: Event) => event.preventDefault()}>
      <h2>Settings</h2>
      <div class="field">
        <div class="row"><label for="temperature">Temperature</label>
          <output class="number" for="temperature">${temperature.toFixed(1)}</output></div>
        <input id="temperature" data-testid="temperature" type="range" min="0" max="2" step="0.1" .value=${String(temperature)}
          ${styles({ '--share': String(temperature / 2) })} aria-describedby="temperature-help"
          @input=${(event: InputEvent) => this.#change({ temperature: Number(valueOf(event)) })} />
        <p class="help" id="temperature-help">${temperature === 0 ? 'Always the likeliest token' : 'Higher is more varied'}</p>
      </div>
      <div class="field row">
        <label for="max-tokens">Longest answer <small>tokens</small></label>
        <input id="max-tokens" data-testid="max-tokens" type="number" min="1" max=${MAX_TOKENS_LIMIT} step="1"
          .value=${String(maxTokens)} @change=${this.#maxTokens} />
      </div>
      <div class="field">
        <label for="system-prompt">System prompt</label>
        <textarea id="system-prompt" data-testid="system-prompt" rows="3" placeholder="The model's own" .value=${systemPrompt}
          @change=${(event: Event) => this.#change({ systemPrompt: valueOf(event) })}></textarea>
      </div>
    </form>`;
  }

  #change(change: Partial<Settings>): void {
    this.emit('change-settings', change);
  }

  readonly #maxTokens = (event: Event): void => {
    const value = Math.round(Number(valueOf(event)));
    const maxTokens = Number.isFinite(value) ? Math.min(MAX_TOKENS_LIMIT, Math.max(1, value)) : this.settings.maxTokens;
    (event.target as HTMLInputElement).value = String(maxTokens);
    this.#change({ maxTokens });
  };
}

const valueOf = (event: Event): string => (event.target as HTMLInputElement | HTMLTextAreaElement).value;
