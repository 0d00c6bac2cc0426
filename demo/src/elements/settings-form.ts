import { html, type TemplateResult } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import type { Recommendation } from '../known-models.ts';
import { defaultSettings, LIMITS, MAX_STOPS, withinLimits, type NumberSetting, type Settings, type SettingsChange } from '../settings.ts';
import { icon } from './icons.ts';
import { LightElement } from './light-element.ts';
import { styles } from './styles.ts';

interface NumberField {
  readonly name: NumberSetting;
  readonly label: string;
  readonly step: number;
  readonly help: string;
}

/** In the words of OpenAI's and vLLM's parameters. */
const SAMPLING: readonly NumberField[] = [
  { name: 'topP', label: 'Top p', step: 0.05, help: 'From the likeliest tokens that together have this share. 1: all.' },
  { name: 'topK', label: 'Top k', step: 1, help: 'From so many of the likeliest tokens. 0: all.' },
  { name: 'minP', label: 'Min p', step: 0.01, help: 'From tokens at least so likely as this times the likeliest. 0: all.' },
  { name: 'repetitionPenalty', label: 'Repetition penalty', step: 0.05, help: 'Above 1: what was said becomes less likely.' },
  { name: 'presencePenalty', label: 'Presence penalty', step: 0.1, help: 'Taken off each token that the answer has.' },
  { name: 'frequencyPenalty', label: 'Frequency penalty', step: 0.1, help: 'The same for each time that it has it.' },
];

/** Where the values come from that nobody has set. */
const DEFAULTS: Readonly<Record<Recommendation['by'], string>> = {
  file: 'as the model’s file recommends',
  publisher: 'as the model’s publisher recommends',
  page: 'this page’s own',
};

/** How answers are sampled. Bubbles `change-settings` with what changed, and `reset-settings`. */
@customElement('ts-settings-form')
export class SettingsForm extends LightElement {
  @property({ attribute: false }) settings: Settings = defaultSettings({});
  /** Whether any is not the default. */
  @property({ attribute: false }) changed = false;
  @property({ attribute: false }) recommendedBy: Recommendation['by'] = 'page';

  protected override render(): TemplateResult {
    const { temperature, systemPrompt } = this.settings;
    return html`<form class="settings" aria-label="Settings" @submit=${(event: Event) => event.preventDefault()}>
      <div class="row"><h2>Settings</h2>
        <button type="button" class="link-button" data-testid="reset-settings" ?disabled=${!this.changed}
          @click=${() => this.emit('reset-settings')}>Reset to defaults</button></div>
      <p class="help" data-testid="settings-defaults">Defaults: ${DEFAULTS[this.recommendedBy]}</p>
      <div class="field">
        <div class="row"><label for="temperature">Temperature</label>
          <output class="number" for="temperature">${formatted(temperature)}</output></div>
        <input id="temperature" data-testid="temperature" type="range" min="0" max="2" step="0.05" .value=${String(temperature)}
          ${styles({ '--share': String(temperature / 2) })} aria-describedby="temperature-help"
          @input=${(event: InputEvent) => this.#change({ temperature: Number(valueOf(event)) })} />
        <p class="help" id="temperature-help">${temperature === 0 ? 'Always the likeliest token' : 'Higher is more varied'}</p>
      </div>
      ${this.#number({ name: 'maxTokens', label: 'Longest answer', step: 1, help: 'In tokens.' }, 'max-tokens')}
      <details class="more" data-testid="sampling">
        <summary>Sampling ${icon('chevron')}</summary>
        ${SAMPLING.map((field) => this.#number(field))}
        ${this.#seed()}
        ${this.#stop()}
      </details>
      <div class="field">
        <label for="system-prompt">System prompt</label>
        <textarea id="system-prompt" data-testid="system-prompt" rows="3" dir="auto" placeholder="The model's own" .value=${systemPrompt}
          @change=${(event: Event) => this.#change({ systemPrompt: valueOf(event) })}></textarea>
      </div>
    </form>`;
  }

  #number({ name, label, step, help }: NumberField, id = `setting-${name}`): TemplateResult {
    const { min, max } = LIMITS[name];
    return html`<div class="field row">
      <label for=${id}>${label} <small id="${id}-help">${help}</small></label>
      <input id=${id} data-testid=${id} type="number" inputmode="decimal" min=${min} max=${max} step=${step} aria-describedby="${id}-help"
        .value=${String(this.settings[name])} @change=${(event: Event) => this.#takeNumber(name, event)} />
    </div>`;
  }

  #seed(): TemplateResult {
    const { seed } = this.settings;
    return html`<div class="field row">
      <label for="setting-seed">Seed <small id="setting-seed-help">The same one gives the same answer. Empty: another each time.</small></label>
      <input id="setting-seed" data-testid="setting-seed" type="number" min="0" step="1" placeholder="any" aria-describedby="setting-seed-help"
        .value=${seed === null ? '' : String(seed)}
        @change=${(event: Event) => (valueOf(event) === '' ? this.#change({ seed: null }) : this.#takeNumber('seed', event))} />
    </div>`;
  }

  #stop(): TemplateResult {
    return html`<div class="field">
      <label for="setting-stop">Stop at <small id="setting-stop-help">Texts that end an answer, one a line, up to ${MAX_STOPS}.</small></label>
      <textarea id="setting-stop" data-testid="setting-stop" rows="2" dir="auto" spellcheck="false" aria-describedby="setting-stop-help"
        .value=${this.settings.stop.join('\n')} @change=${this.#takeStop}></textarea>
    </div>`;
  }

  #change(change: SettingsChange): void {
    this.emit('change-settings', change);
  }

  /** A value out of range becomes the nearest valid one. */
  #takeNumber(name: NumberSetting, event: Event): void {
    const text = valueOf(event);
    const value = (text.trim() === '' ? undefined : withinLimits(name, Number(text))) ?? this.settings[name];
    (event.target as HTMLInputElement).value = value === null ? '' : String(value);
    this.#change({ [name]: value });
  }

  readonly #takeStop = (event: Event): void => {
    const stop = valueOf(event).split('\n').filter((line) => line !== '').slice(0, MAX_STOPS);
    (event.target as HTMLTextAreaElement).value = stop.join('\n');
    this.#change({ stop });
  };
}

const valueOf = (event: Event): string => (event.target as HTMLInputElement | HTMLTextAreaElement).value;

/** `0.7`, `0.15`, `1.0`. */
const formatted = (temperature: number): string => temperature.toFixed(2).replace(/0$/, '');
