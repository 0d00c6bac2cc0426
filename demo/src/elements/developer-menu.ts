import { html, type TemplateResult } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import type { Fault } from '../../../src/testing.ts';
import { icon } from './icons.ts';
import { LightElement } from './light-element.ts';

/** Buttons that inject faults. Bubbles `inject-fault` with the fault. */
@customElement('ts-developer-menu')
export class DeveloperMenu extends LightElement {
  /** Whether there is an engine to break. */
  @property({ attribute: false }) ready = false;

  protected override render(): TemplateResult {
    return html`<details class="developer" data-testid="developer">
      <summary>Break something ${icon('chevron')}</summary>
      <p class="help">Ask for a long answer first, in two tabs if you like. Every answer goes on where it was, with the words
        it would have had.</p>
      ${this.#button('device_lost', 'Crash the GPU', 'bolt',
        'Destroys the GPU device, as a reset of its driver would. All KV blocks are gone; the tokens are not.')}
      ${this.#button('worker_died', 'Kill the worker', 'skull',
        'Ends the worker that runs the engine, model and all. The tabs start another and tell it where they were.')}
    </details>`;
  }

  #button(fault: Fault, label: string, name: 'bolt' | 'skull', help: string): TemplateResult {
    return html`<div class="fault">
      <button type="button" class="button" data-testid="fault-${fault}" aria-describedby="fault-${fault}" ?disabled=${!this.ready}
        @click=${() => this.emit('inject-fault', fault)}>${icon(name)}${label}</button>
      <p class="help" id="fault-${fault}">${help}</p>
    </div>`;
  }
}
