import { html, nothing, type TemplateResult } from 'lit';
import type { Remedy } from '../problem-words.ts';
import type { Problem } from '../problems.ts';
import './countdown.ts';
import { icon } from './icons.ts';

const LABELS: Readonly<Record<Remedy, string>> = {
  retry: 'Try again',
  'new-chat': 'New chat',
  'reload-model': 'Load the model again',
  'try-loading': 'Try again',
  'choose-model': 'Choose a model',
  'use-loaded': 'Use that model here',
  'free-space': 'See what is stored',
  settings: 'Open the settings',
  none: '',
};

/**
 * An error in human words, with its code, what it said, and the one thing to do. Bubbles `problem-remedy`.
 *
 * @param back what the model is called that there is a way back to; bubbles `back-to-model`
 */
export function problemCard(problem: Problem, withRemedy: boolean, back?: string): TemplateResult {
  const { code, title, advice, detail, remedy, retryAt } = problem;
  const hasRemedy = withRemedy && remedy !== 'none';
  const act = (event: Event): void => {
    event.currentTarget?.dispatchEvent(new CustomEvent('problem-remedy', { detail: remedy, bubbles: true }));
  };
  const goBack = (event: Event): void => {
    event.currentTarget?.dispatchEvent(new CustomEvent('back-to-model', { bubbles: true }));
  };
  return html`<div class="problem" role="alert" data-testid="error" data-code=${code}>
    ${icon('alert')}
    <div>
      <p class="problem-title">${title}</p>
      <p>${advice} ${retryAt === undefined ? nothing : html`<ts-countdown .until=${retryAt}></ts-countdown>`}</p>
      ${detail === '' ? nothing : html`<p class="problem-detail"><code>${code}</code> <span dir="auto">${detail}</span></p>`}
      ${hasRemedy || back !== undefined ? html`<p class="problem-actions">
        ${hasRemedy ? html`<button type="button" class="button" data-testid="remedy" @click=${act}>${LABELS[remedy]}</button>` : nothing}
        ${back === undefined ? nothing
          : html`<button type="button" class="button" data-testid="back-to-model" @click=${goBack}>Back to ${back}</button>`}
      </p>` : nothing}
    </div>
  </div>`;
}
