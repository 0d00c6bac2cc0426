import { html, nothing, type TemplateResult } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { LightElement } from './light-element.ts';

/** More than this, and a question is shown in part: about a dozen lines on a wide screen. */
const LONG_CHARACTERS = 800;
const LONG_LINES = 12;

/** What the user asked, as it was written. */
@customElement('ts-question')
export class Question extends LightElement {
  @property({ attribute: false }) text = '';
  @state() private expanded = false;

  protected override render(): TemplateResult {
    const isLong = this.text.length > LONG_CHARACTERS || this.text.split('\n').length > LONG_LINES;
    const isCut = isLong && !this.expanded;
    return html`<article class="question" aria-label="You">
      <div class="bubble">
        <p data-testid="question" class=${isCut ? 'is-cut' : ''}>${this.text}</p>
        ${isLong ? html`<button type="button" class="link-button" data-testid="question-more" aria-expanded=${this.expanded}
          @click=${() => { this.expanded = !this.expanded; }}>${isCut ? 'Show more' : 'Show less'}</button>` : nothing}
      </div>
    </article>`;
  }
}
