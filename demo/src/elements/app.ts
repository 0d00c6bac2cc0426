import { html, nothing, type TemplateResult } from 'lit';
import { customElement, state } from 'lit/decorators.js';
import type { Fault } from '../../../src/testing.ts';
import { ChatController } from '../chat-controller.ts';
import type { ChatEnvironment } from '../chat-environment.ts';
import type { EngineReading } from '../engine-room.ts';
import { exportChat, type ExportFormat } from '../export-chat.ts';
import { followKeyboard } from '../keyboard.ts';
import { MetricsPoller } from '../metrics-poller.ts';
import { forgetInAddress, takeFromAddress } from '../page-address.ts';
import { BABBLE_MODEL, fileChoice, loadedChoice, type ModelChoice, type RepositoryName } from '../model-choice.ts';
import { settingsOf, type SettingsChange } from '../settings.ts';
import { currentTheme, SYSTEM_DARK, toggleTheme } from '../theme.ts';
import { LightElement } from './light-element.ts';
import type { CacheList } from './cache-list.ts';
import type { Composer } from './composer.ts';
import type { LiveRegion } from './live-region.ts';
import './composer.ts';
import './conversation.ts';
import './history-dialog.ts';
import './model-dialog.ts';
import { NARROW, type Panel } from './panel.ts';
import './recovery-banner.ts';
import './top-bar.ts';

/** The page: lays the elements out, and turns their events into calls of the controller. */
@customElement('tabserve-app')
export class TabserveApp extends LightElement {
  @state() private panelOpen = false;
  @state() private dialog: 'model' | 'chats' | undefined;
  @state() private dragging = false;
  @state() private theme = currentTheme();

  readonly #chat: ChatController;
  readonly #poller: MetricsPoller<EngineReading>;
  readonly #env: ChatEnvironment;
  readonly #leaving = new AbortController();

  constructor(environment: ChatEnvironment) {
    super();
    const chat = new ChatController(this, environment);
    this.#chat = chat;
    this.#env = environment;
    this.#poller = new MetricsPoller({
      read: () => chat.readEngine(),
      isBusy: () => chat.dialogue.generating || (chat.engine.metrics?.requestsRunning ?? 0) > 0,
      onReading: (reading) => chat.takeReading(reading),
    });
    this.addEventListener('dragover', this.#drag);
    this.addEventListener('dragleave', this.#drag);
    this.addEventListener('drop', this.#drag);
    this.addEventListener('announce', (event) => this.#announce((event as CustomEvent<string>).detail));
  }

  override connectedCallback(): void {
    super.connectedCallback();
    const { signal } = this.#leaving;
    document.addEventListener('keydown', this.#key, { signal });
    SYSTEM_DARK.addEventListener('change', this.#themeChanged, { signal });
    NARROW.addEventListener('change', this.#narrowed, { signal });
    addEventListener('online', () => this.#chat.backOnline(), { signal });
    followKeyboard(signal);
    this.#poller.start();
    void this.#chat.start(takeFromAddress(), settingsOf(new URL(location.href).searchParams));
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#leaving.abort();
    this.#poller.stop();
  }

  protected override render(): TemplateResult {
    const chat = this.#chat;
    const { model, dialogue } = chat;
    const { turns } = dialogue;
    const empty = turns.length === 0;
    const isSupported = model.kind !== 'unsupported';
    const isCovered = isSupported && this.panelOpen && NARROW.matches;
    this.classList.toggle('has-panel', isSupported);
    return html`
      <ts-top-bar ?inert=${isCovered}
        .model=${model} .theme=${this.theme} .canStartOver=${!empty} .panelOpen=${this.panelOpen}
        .recovering=${chat.engine.recovery?.kind === 'recovering'}
        @new-chat=${() => this.#newChat()}
        @choose-model=${() => this.#chooseModel()} @show-chats=${this.#showChats}
        @toggle-theme=${() => { this.theme = toggleTheme(); }}
        @toggle-panel=${() => { this.panelOpen = !this.panelOpen; }}
      ></ts-top-bar>
      <main class=${empty ? 'stage is-empty' : 'stage'} ?inert=${isCovered} @problem-remedy=${this.#remedy}
        @load-model=${this.#load} @cancel-load=${() => chat.models.cancel()} @back-to-model=${this.#back}
        @browse-repository=${this.#browse}>
        <ts-recovery-banner .recovery=${chat.engine.recovery} .now=${this.#env.now}
          @dismiss-recovery=${() => chat.dismissRecovery()}></ts-recovery-banner>
        <ts-conversation .turns=${turns} .model=${model} .defaultModel=${chat.defaultModel} .cache=${chat.cache}
          .repository=${chat.repository.state} .continuable=${dialogue.continuable}
          @continue-answer=${this.#continue} @regenerate=${this.#regenerate} @edit-question=${this.#edit} @suggest=${this.#suggest}></ts-conversation>
        ${!isSupported ? nothing : html`<ts-composer .ready=${model.kind === 'ready'} .generating=${dialogue.generating} .trouble=${dialogue.history.trouble}
          @send-prompt=${this.#send} @stop-answer=${() => dialogue.stop()}></ts-composer>`}
      </main>
      ${!isSupported ? nothing : html`<ts-panel
        .open=${this.panelOpen} .model=${model} .engine=${chat.engine} .stats=${chat.figures?.stats} .pace=${chat.figures?.pace} .settings=${chat.settings}
        .profiling=${chat.profiling.state} @profile-steps=${() => chat.profileSteps()}
        @close-panel=${() => this.#closePanel()}
        @inject-fault=${(event: CustomEvent<Fault>) => chat.injectFault(event.detail)}
        @change-settings=${this.#changeSettings} @reset-settings=${this.#resetSettings}
      ></ts-panel>`}
      <ts-model-dialog .open=${this.dialog === 'model'} .defaultModel=${chat.defaultModel} .cache=${chat.cache}
        .repository=${chat.repository.state} @load-model=${this.#load} @browse-repository=${this.#browse}
        @close-dialog=${this.#closeDialog}></ts-model-dialog>
      <ts-history-dialog .open=${this.dialog === 'chats'} .history=${dialogue.history} @close-dialog=${this.#closeDialog}
        @open-chat=${this.#openChat} @remove-chat=${(event: CustomEvent<string>) => void dialogue.removeChat(event.detail)}
        @export-chat=${this.#export}></ts-history-dialog>
      ${this.dragging ? html`<div class="drop" aria-hidden="true"><p>Drop a <b>.gguf</b> file to load it</p></div>` : nothing}
    `;
  }

  readonly #send = (event: CustomEvent<string>): void => void this.#chat.dialogue.send(event.detail);

  /** The clicked button is removed, so the focus needs another place. */
  readonly #suggest = (event: CustomEvent<string>): void => {
    this.#send(event);
    this.#takeFocus();
  };

  readonly #regenerate = (event: CustomEvent<string>): void => {
    void this.#chat.dialogue.regenerate(event.detail);
    this.#takeFocus();
  };

  readonly #continue = (): void => {
    void this.#chat.dialogue.continueAnswer();
    this.#takeFocus();
  };

  readonly #edit = ({ detail: { id, text } }: CustomEvent<{ readonly id: string; readonly text: string }>): void => {
    void this.#chat.dialogue.edit(id, text);
    this.#takeFocus();
  };

  readonly #load = (event: CustomEvent<ModelChoice>): void => {
    const choice = event.detail;
    // A dialog gives the focus back; a picker in the page is removed, so the focus needs another place.
    if (this.dialog === undefined) this.#takeFocus();
    this.dialog = undefined;
    if (typeof choice.source === 'string' && !choice.babble) void this.#chat.cache.askToPersist();
    this.#chat.repository.leave();
    void this.#chat.models.load(choice);
  };

  /** The clicked button is removed, so the focus needs another place. */
  readonly #back = (): void => {
    this.#chat.models.back();
    this.#takeFocus();
  };

  readonly #browse = (event: CustomEvent<RepositoryName>): void => void this.#chat.repository.browse(event.detail);

  readonly #remedy = (event: CustomEvent<string>): void => {
    const { model, models: { failure } } = this.#chat;
    const choice = failure?.choice ?? ('choice' in model ? model.choice : undefined);
    if (event.detail === 'new-chat') this.#newChat();
    else if (event.detail === 'retry' && failure === undefined && model.kind === 'ready') void this.#chat.dialogue.regenerate();
    else if (event.detail === 'settings') this.#showSettings();
    else if (event.detail === 'free-space') this.#showCache();
    else if (event.detail === 'choose-model') this.#chooseModel();
    else if (event.detail === 'use-loaded' && failure !== undefined) this.#useLoaded(failure.problem.loadedModel);
    else if (choice !== undefined) void this.#chat.models.load(choice);
  };

  /** A setting that was changed by hand is removed from the address. */
  readonly #changeSettings = (event: CustomEvent<SettingsChange>): void => {
    if ('temperature' in event.detail) forgetInAddress('temperature');
    this.#chat.changeSettings(event.detail);
  };

  readonly #resetSettings = (): void => {
    forgetInAddress('temperature');
    this.#chat.resetSettings();
  };

  #newChat(): void {
    this.#chat.dialogue.newChat();
    this.#takeFocus();
  }

  readonly #showChats = (): void => {
    void this.#chat.dialogue.history.refresh();
    this.dialog = 'chats';
  };

  readonly #closeDialog = (): void => {
    this.dialog = undefined;
  };

  readonly #openChat = (event: CustomEvent<string>): void => {
    this.dialog = undefined;
    void this.#chat.dialogue.openChat(event.detail);
    this.#takeFocus();
  };

  readonly #export = (event: CustomEvent<ExportFormat>): void => {
    const { fileName, type, text } = exportChat(this.#chat.dialogue.turns, event.detail, this.#env.clock());
    const url = URL.createObjectURL(new Blob([text], { type }));
    Object.assign(document.createElement('a'), { href: url, download: fileName }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000); // the browser reads it after the click
    this.#announce(`Saved as ${fileName}`);
  };

  #announce(text: string): void {
    this.querySelector<LiveRegion>('ts-live-region')?.say(text);
  }

  #showCache(): void {
    const list = this.querySelector<CacheList>('main ts-cache-list');
    if (list === null) this.dialog = 'model';
    else list.takeFocus();
  }

  #showSettings(): void {
    this.panelOpen = true;
    void this.updateComplete.then(() => this.querySelector<Panel>('ts-panel')?.showSettings());
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
    else this.dialog = 'model';
  }

  readonly #themeChanged = (): void => {
    this.theme = currentTheme();
  };

  readonly #narrowed = (): void => this.requestUpdate();

  readonly #key = (event: KeyboardEvent): void => {
    if (event.key !== 'Escape' || event.defaultPrevented || this.dialog !== undefined) return;
    if (this.panelOpen) this.#closePanel();
    else this.#chat.dialogue.stop();
  };

  readonly #drag = (event: DragEvent): void => {
    if (!event.dataTransfer?.types.includes('Files')) return;
    event.preventDefault();
    this.dragging = event.type === 'dragover';
    const file = event.type === 'drop' ? event.dataTransfer.files[0] : undefined;
    if (file !== undefined) this.#load(new CustomEvent('load-model', { detail: fileChoice(file) }));
  };
}
