import { html, nothing, type TemplateResult } from 'lit';
import { customElement, state } from 'lit/decorators.js';
import { ChatController, type ChatEnvironment } from '../chat-controller.ts';
import { MetricsPoller } from '../metrics-poller.ts';
import { addressChoice, fileChoice, type ModelChoice } from '../model-choice.ts';
import type { Settings } from '../settings.ts';
import { currentTheme, SYSTEM_DARK, toggleTheme } from '../theme.ts';
import { LightElement } from './light-element.ts';
import './composer.ts';
import './conversation.ts';
import './model-dialog.ts';
import './panel.ts';
import './top-bar.ts';

/** The page: lays the elements out, and turns their events into calls of the controller. */
@customElement('tabserve-app')
export class TabserveApp extends LightElement {
  @state() private panelOpen = false;
  @state() private dialogOpen = false;
  @state() private dragging = false;
  @state() private theme = currentTheme();

  readonly #chat: ChatController;
  readonly #poller: MetricsPoller;

  constructor(environment: ChatEnvironment) {
    super();
    const chat = new ChatController(this, environment);
    this.#chat = chat;
    this.#poller = new MetricsPoller({
      read: () => chat.readMetrics(),
      isBusy: () => chat.generating,
      onMetrics: (metrics) => chat.takeMetrics(metrics),
    });
    this.addEventListener('dragover', this.#drag);
    this.addEventListener('dragleave', this.#drag);
    this.addEventListener('drop', this.#drag);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    document.addEventListener('keydown', this.#key);
    SYSTEM_DARK.addEventListener('change', this.#themeChanged);
    this.#poller.start();
    void this.#chat.start(new URL(location.href).searchParams.get('model'));
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    document.removeEventListener('keydown', this.#key);
    SYSTEM_DARK.removeEventListener('change', this.#themeChanged);
    this.#poller.stop();
  }

  protected override render(): TemplateResult {
    const chat = this.#chat;
    const { model, turns } = chat;
    const empty = turns.length === 0;
    return html`
      <ts-top-bar
        .model=${model} .theme=${this.theme} .canStartOver=${!empty} .panelOpen=${this.panelOpen}
        @new-chat=${() => this.#newChat()}
        @choose-model=${() => this.#chooseModel()}
        @toggle-theme=${() => { this.theme = toggleTheme(); }}
        @toggle-panel=${() => { this.panelOpen = !this.panelOpen; }}
      ></ts-top-bar>
      <main class=${empty ? 'stage is-empty' : 'stage'} @problem-remedy=${this.#remedy}
        @load-model=${this.#load} @cancel-load=${() => chat.cancelLoad()}>
        <ts-conversation .turns=${turns} .model=${model} .defaultModel=${chat.defaultModel}
          @regenerate=${() => void chat.regenerate()} @suggest=${this.#send}></ts-conversation>
        ${model.kind === 'unsupported' ? nothing : html`<ts-composer .ready=${model.kind === 'ready'} .generating=${chat.generating}
          @send-prompt=${this.#send} @stop-answer=${() => chat.stop()}></ts-composer>`}
      </main>
      <ts-panel
        .open=${this.panelOpen} .model=${model} .metrics=${chat.metrics} .stats=${chat.latestStats}
        .samples=${[...chat.throughput.samples]} .settings=${chat.settings} .busy=${chat.generating}
        @close-panel=${() => { this.panelOpen = false; }}
        @change-settings=${(event: CustomEvent<Partial<Settings>>) => chat.changeSettings(event.detail)}
      ></ts-panel>
      <ts-model-dialog .open=${this.dialogOpen} .defaultModel=${chat.defaultModel}
        @load-model=${this.#load} @close-dialog=${() => { this.dialogOpen = false; }}></ts-model-dialog>
      ${this.dragging ? html`<div class="drop" aria-hidden="true"><p>Drop a <b>.gguf</b> file to load it</p></div>` : nothing}
    `;
  }

  readonly #send = (event: CustomEvent<string>): void => void this.#chat.send(event.detail);

  readonly #load = (event: CustomEvent<ModelChoice>): void => {
    const choice = event.detail;
    this.dialogOpen = false;
    rememberInAddress(choice, this.#chat.defaultModel?.available === true && choice === this.#chat.defaultModel.choice);
    void this.#chat.load(choice);
  };

  readonly #remedy = (event: CustomEvent<string>): void => {
    const { model } = this.#chat;
    if (event.detail === 'new-chat') this.#newChat();
    else if (event.detail === 'retry' && model.kind === 'ready') void this.#chat.regenerate();
    else if (event.detail === 'choose-model') this.#chooseModel();
    else if ('choice' in model && model.choice !== undefined) void this.#chat.load(model.choice);
  };

  #newChat(): void {
    this.#chat.newChat();
    this.querySelector<HTMLElement>('[data-testid=prompt]')?.focus();
  }

  /** The picker stands in an empty page without a model; else it opens over the page. */
  #chooseModel(): void {
    const picker = this.querySelector<HTMLElement>('ts-conversation [data-testid=model-url]');
    if (picker !== null) picker.focus();
    else this.dialogOpen = true;
  }

  readonly #themeChanged = (): void => {
    this.theme = currentTheme();
  };

  readonly #key = (event: KeyboardEvent): void => {
    if (event.key !== 'Escape' || event.defaultPrevented || this.dialogOpen) return;
    if (this.panelOpen) this.panelOpen = false;
    else this.#chat.stop();
  };

  readonly #drag = (event: DragEvent): void => {
    if (!event.dataTransfer?.types.includes('Files')) return;
    event.preventDefault();
    this.dragging = event.type === 'dragover';
    const file = event.type === 'drop' ? event.dataTransfer.files[0] : undefined;
    if (file !== undefined) this.#load(new CustomEvent('load-model', { detail: fileChoice(file) }));
  };
}

/** So that a reload, or a link, brings the same model; a local file has no address. */
function rememberInAddress({ source }: ModelChoice, isDefault: boolean): void {
  const url = new URL(location.href);
  if (isDefault || typeof source !== 'string' || addressChoice(source) === undefined) url.searchParams.delete('model');
  else url.searchParams.set('model', source);
  history.replaceState(null, '', url);
}
