import { html, nothing, type TemplateResult } from 'lit';
import { customElement, state } from 'lit/decorators.js';
import type { Fault } from '../../../src/index.ts';
import { ChatController, type ChatEnvironment } from '../chat-controller.ts';
import type { EngineReading } from '../engine-room.ts';
import { MetricsPoller } from '../metrics-poller.ts';
import { addressChoice, BABBLE_MODEL, fileChoice, loadedChoice, type ModelChoice } from '../model-choice.ts';
import type { Settings } from '../settings.ts';
import { currentTheme, SYSTEM_DARK, toggleTheme } from '../theme.ts';
import { LightElement } from './light-element.ts';
import type { Composer } from './composer.ts';
import './composer.ts';
import './conversation.ts';
import './model-dialog.ts';
import { NARROW } from './panel.ts';
import './recovery-banner.ts';
import './top-bar.ts';

/** The page: lays the elements out, and turns their events into calls of the controller. */
@customElement('tabserve-app')
export class TabserveApp extends LightElement {
  @state() private panelOpen = false;
  @state() private dialogOpen = false;
  @state() private dragging = false;
  @state() private theme = currentTheme();

  readonly #chat: ChatController;
  readonly #poller: MetricsPoller<EngineReading>;
  readonly #now: () => number;

  constructor(environment: ChatEnvironment) {
    super();
    const chat = new ChatController(this, environment);
    this.#chat = chat;
    this.#now = environment.now;
    this.#poller = new MetricsPoller({
      read: () => chat.readEngine(),
      isBusy: () => chat.generating || (chat.engine.metrics?.requestsRunning ?? 0) > 0,
      onReading: (reading) => chat.takeReading(reading),
    });
    this.addEventListener('dragover', this.#drag);
    this.addEventListener('dragleave', this.#drag);
    this.addEventListener('drop', this.#drag);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    document.addEventListener('keydown', this.#key);
    SYSTEM_DARK.addEventListener('change', this.#themeChanged);
    NARROW.addEventListener('change', this.#narrowed);
    this.#poller.start();
    void this.#chat.start(new URL(location.href).searchParams.get('model'));
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    document.removeEventListener('keydown', this.#key);
    SYSTEM_DARK.removeEventListener('change', this.#themeChanged);
    NARROW.removeEventListener('change', this.#narrowed);
    this.#poller.stop();
  }

  protected override render(): TemplateResult {
    const chat = this.#chat;
    const { model, turns } = chat;
    const empty = turns.length === 0;
    const isSupported = model.kind !== 'unsupported';
    const isCovered = isSupported && this.panelOpen && NARROW.matches;
    this.classList.toggle('has-panel', isSupported);
    return html`
      <ts-top-bar ?inert=${isCovered}
        .model=${model} .theme=${this.theme} .canStartOver=${!empty} .panelOpen=${this.panelOpen}
        .recovering=${chat.engine.recovery?.kind === 'recovering'}
        @new-chat=${() => this.#newChat()}
        @choose-model=${() => this.#chooseModel()}
        @toggle-theme=${() => { this.theme = toggleTheme(); }}
        @toggle-panel=${() => { this.panelOpen = !this.panelOpen; }}
      ></ts-top-bar>
      <main class=${empty ? 'stage is-empty' : 'stage'} ?inert=${isCovered} @problem-remedy=${this.#remedy}
        @load-model=${this.#load} @cancel-load=${() => chat.cancelLoad()}>
        <ts-recovery-banner .recovery=${chat.engine.recovery} .now=${this.#now}
          @dismiss-recovery=${() => chat.dismissRecovery()}></ts-recovery-banner>
        <ts-conversation .turns=${turns} .model=${model} .defaultModel=${chat.defaultModel}
          @regenerate=${this.#regenerate} @suggest=${this.#suggest}></ts-conversation>
        ${!isSupported ? nothing : html`<ts-composer .ready=${model.kind === 'ready'} .generating=${chat.generating}
          @send-prompt=${this.#send} @stop-answer=${() => chat.stop()}></ts-composer>`}
      </main>
      ${!isSupported ? nothing : html`<ts-panel
        .open=${this.panelOpen} .model=${model} .engine=${chat.engine} .stats=${chat.latestStats} .settings=${chat.settings}
        .profiling=${chat.profiling.state} @profile-steps=${() => chat.profileSteps()}
        @close-panel=${() => this.#closePanel()}
        @inject-fault=${(event: CustomEvent<Fault>) => chat.injectFault(event.detail)}
        @change-settings=${(event: CustomEvent<Partial<Settings>>) => chat.changeSettings(event.detail)}
      ></ts-panel>`}
      <ts-model-dialog .open=${this.dialogOpen} .defaultModel=${chat.defaultModel}
        @load-model=${this.#load} @close-dialog=${() => { this.dialogOpen = false; }}></ts-model-dialog>
      ${this.dragging ? html`<div class="drop" aria-hidden="true"><p>Drop a <b>.gguf</b> file to load it</p></div>` : nothing}
    `;
  }

  readonly #send = (event: CustomEvent<string>): void => void this.#chat.send(event.detail);

  /** What asked for it is gone with the click. */
  readonly #suggest = (event: CustomEvent<string>): void => {
    this.#send(event);
    this.#takeFocus();
  };

  readonly #regenerate = (): void => {
    void this.#chat.regenerate();
    this.#takeFocus();
  };

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
    else if (event.detail === 'use-loaded' && model.kind === 'failed') this.#useLoaded(model.problem.loadedModel);
    else if ('choice' in model && model.choice !== undefined) void this.#chat.load(model.choice);
  };

  #newChat(): void {
    this.#chat.newChat();
    this.#takeFocus();
  }

  #useLoaded(source: string | undefined): void {
    if (source === undefined) return;
    const { defaultModel } = this.#chat;
    const known = defaultModel?.available === true ? [defaultModel.choice, BABBLE_MODEL] : [BABBLE_MODEL];
    this.#load(new CustomEvent('load-model', { detail: loadedChoice(source, known, document.baseURI) }));
  }

  #takeFocus(): void {
    this.querySelector<Composer>('ts-composer')?.takeFocus();
  }

  /** Where the panel covers the page, the focus goes back to what opened it. */
  #closePanel(): void {
    this.panelOpen = false;
    if (NARROW.matches) void this.updateComplete.then(() => this.querySelector<HTMLElement>('.panel-button')?.focus());
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

  readonly #narrowed = (): void => this.requestUpdate();

  readonly #key = (event: KeyboardEvent): void => {
    if (event.key !== 'Escape' || event.defaultPrevented || this.dialogOpen) return;
    if (this.panelOpen) this.#closePanel();
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
