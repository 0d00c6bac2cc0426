import { html, nothing, type TemplateResult } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import type { ModelState } from '../model-switch.ts';
import { percent } from '../format.ts';
import { icon, mark } from './icons.ts';
import { LightElement } from './light-element.ts';

/** The wordmark, what model is there, and the page's few buttons. */
@customElement('ts-top-bar')
export class TopBar extends LightElement {
  @property({ attribute: false }) model: ModelState = { kind: 'starting' };
  @property({ attribute: false }) theme: 'light' | 'dark' = 'light';
  @property({ attribute: false }) canStartOver = false;
  @property({ attribute: false }) panelOpen = false;
  /** Whether the engine was lost and is not back yet. */
  @property({ attribute: false }) recovering = false;

  protected override render(): TemplateResult {
    const { name, status } = this.recovering ? { ...describe(this.model), status: 'recovering' } : describe(this.model);
    const isBabble = this.model.kind === 'ready' && this.model.choice.babble;
    const other = this.theme === 'dark' ? 'light' : 'dark';
    return html`<header class="top-bar">
      <a class="wordmark" href="./" aria-label="tabserve, start page">${mark}<span>tabserve</span></a>
      <button type="button" class="model-chip" data-testid="model-status" data-state=${this.recovering ? 'recovering' : this.model.kind}
        aria-haspopup="dialog" title="Choose a model"
        ?disabled=${['starting', 'loading', 'unsupported'].includes(this.model.kind)} @click=${() => this.emit('choose-model')}>
        <span class="dot" aria-hidden="true"></span>
        ${name === '' ? '' : html`<span class="model-name">${name}</span>`}
        <span class="model-state">${status}</span>
        ${icon('chevron')}
      </button>
      ${isBabble ? html`<span class="badge is-warning babble-badge" data-testid="babble-badge"
        title="This model’s weights are random: what it says means nothing">babble<span>: random weights</span></span>` : nothing}
      <nav class="actions" aria-label="Page">
        <button type="button" class="icon-button new-chat" data-testid="new-chat" aria-label="New chat" title="New chat"
          ?disabled=${!this.canStartOver} @click=${() => this.emit('new-chat')}>${icon('plus')}<span>New chat</span></button>
        <button type="button" class="icon-button" data-testid="chats" aria-label="Chats" title="Chats" aria-haspopup="dialog"
          @click=${() => this.emit('show-chats')}>${icon('chats')}</button>
        <button type="button" class="icon-button" data-testid="theme" aria-label="Switch to ${other} colours"
          title="Switch to ${other} colours" @click=${() => this.emit('toggle-theme')}>
          ${icon(this.theme === 'dark' ? 'sun' : 'moon')}</button>
        ${this.model.kind === 'unsupported' ? nothing : html`<button type="button" class="icon-button panel-button"
          data-testid="panel-toggle" title="Engine room and settings" aria-label="Engine room and settings"
          aria-expanded=${this.panelOpen} aria-controls="panel" @click=${() => this.emit('toggle-panel')}>${icon('pulse')}</button>`}
      </nav>
    </header>`;
  }
}

function describe(model: ModelState): { readonly name: string; readonly status: string } {
  switch (model.kind) {
    case 'starting':
      return { name: '', status: 'starting' };
    case 'none':
      return { name: '', status: 'choose a model' };
    case 'unsupported':
      return { name: '', status: model.obstacle.lack === 'adapter' ? 'no GPU' : 'no WebGPU' };
    case 'loading':
      return { name: model.choice.label, status: percent(model.progress?.bytesDone, model.progress?.bytesTotal) || 'loading' };
    case 'failed':
      return { name: model.choice?.label ?? '', status: 'not loaded' };
    case 'ready':
      return { name: model.choice.label, status: 'ready' };
  }
}
