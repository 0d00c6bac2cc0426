import { html, nothing, type TemplateResult } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { LightElement } from './light-element.ts';

const SUGGESTIONS = [
  'What is the capital of France?',
  'Write a short poem about the sea.',
  'Explain photosynthesis to a child.',
  'Write a Python function that reverses a string.',
] as const;

/** The content of an empty chat. */
@customElement('ts-welcome')
export class Welcome extends LightElement {
  @property({ attribute: false }) babble = false;

  protected override render(): TemplateResult {
    return html`<div class="welcome">
      <h1>A language model,<br />in this tab.<span class="cursor" aria-hidden="true"></span></h1>
      <p class="welcome-lead">No server answers here. Your own machine does.</p>
      ${this.babble ? html`<p class="babble-note" data-testid="babble"><b>Random weights.</b>
        This model babbles: it proves the GPU path only.</p>` : nothing}
      <ul class="suggestions" aria-label="Suggestions">
        ${SUGGESTIONS.map((text) => html`<li><button type="button" @click=${() => this.emit('suggest', text)}>${text}</button></li>`)}
      </ul>
    </div>`;
  }
}
