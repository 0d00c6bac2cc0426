import type { ReactiveController, ReactiveControllerHost } from 'lit';
import type { Fault } from '../../src/testing.ts';
import type { ChatEnvironment } from './chat-environment.ts';
import type { ChatClient } from './contract.ts';
import type { DefaultModel } from './default-model.ts';
import { DeletedModels } from './deleted-models.ts';
import { Dialogue, type AnswerFigures, type Answerer } from './dialogue.ts';
import { EngineRoom, type EngineReading } from './engine-room.ts';
import { recommendationFor } from './known-models.ts';
import { ModelCache } from './model-cache.ts';
import { parseAddress, type ModelChoice } from './model-choice.ts';
import { isAtHand, linkTo, linkToRepository, type ModelLink } from './model-link.ts';
import { ModelSwitch, type ModelState, type ReadyModel } from './model-switch.ts';
import { badAddress, type Problem } from './problems.ts';
import { Profiling } from './profiling.ts';
import { Repository } from './repository.ts';
import type { SettingsChange } from './settings.ts';
import { SettingsState } from './settings-state.ts';
import { shownAddress } from './shown-address.ts';

/** Everything the page knows, and the only part of it that talks to tabserve. Elements show it and send it events. */
export class ChatController implements ReactiveController {
  readonly models: ModelSwitch;
  readonly settings: SettingsState;
  readonly engine = new EngineRoom();
  readonly profiling: Profiling;
  readonly dialogue: Dialogue;
  readonly cache: ModelCache;
  readonly repository: Repository;
  /** `undefined` until the server has answered. */
  defaultModel: DefaultModel | undefined;

  readonly #host: ReactiveControllerHost;
  readonly #env: ChatEnvironment;
  #frameRequested = false;

  constructor(host: ReactiveControllerHost, environment: ChatEnvironment) {
    const changed = (): void => host.requestUpdate();
    const { lasting, baseUrl, isOnline } = environment;
    this.#host = host;
    this.#env = environment;
    this.settings = new SettingsState(lasting);
    this.profiling = new Profiling(changed);
    this.dialogue = new Dialogue({
      environment,
      changed,
      grown: () => this.#renderSoon(),
      answerer: () => this.#answerer,
      settings: () => this.settings.values,
      asked: () => this.models.dismissFailure(),
      failed: (problem, client) => this.#answerFailed(problem, client),
    });
    this.models = new ModelSwitch({
      environment,
      changed,
      progressed: () => this.#renderSoon(),
      switched: (ready) => this.#switched(ready),
      onStatus: (status) => {
        this.engine.takeStatus(status, environment.now());
        changed();
      },
      answers: this.dialogue,
    });
    this.cache = new ModelCache({ access: environment.cache, deleted: new DeletedModels(lasting), baseUrl, changed });
    this.repository = new Repository({ list: environment.listRepository, isOnline, changed });
    host.addController(this);
  }

  get model(): ModelState {
    return this.models.state;
  }

  /** The latest answer's figures; undefined where another model than the loaded one wrote it. */
  get figures(): AnswerFigures | undefined {
    return this.dialogue.figuresOf(this.model.kind === 'ready' ? this.model.info.id : undefined);
  }

  get #answerer(): Answerer | undefined {
    const { client, state } = this.models;
    if (state.kind !== 'ready' || client === undefined) return undefined;
    return { client, model: { id: state.info.id, name: state.choice.label } };
  }

  hostDisconnected(): void {
    this.dialogue.stop();
    this.repository.leave();
    this.models.close();
  }

  /**
   * Loads the model that `address` names, else the default one, if it is at hand; else leaves the choice to the user.
   *
   * @param settings what the address sets
   */
  async start(address: string | null, settings: SettingsChange = {}): Promise<void> {
    this.settings.setByAddress(settings);
    const restoring = this.dialogue.history.restore();
    await this.#begin(address);
    await restoring;
  }

  async #begin(address: string | null): Promise<void> {
    const obstacle = this.#env.findObstacle();
    if (obstacle !== undefined) return this.models.rest({ kind: 'unsupported', obstacle });
    const looking = this.#env.findDefaultModel().then((found) => {
      this.defaultModel = found;
      this.#host.requestUpdate();
      return found;
    });
    if (address !== null) return this.#open(address);
    const found = await looking;
    const mayLoad = found.available && (await isAtHand(found.choice, this.#env));
    await this.#loadUnasked(found.available ? found.choice : undefined, mayLoad);
  }

  async #open(address: string): Promise<void> {
    const named = parseAddress(address);
    if (named === undefined) {
      return this.models.rest({ kind: 'failed', choice: undefined, problem: badAddress(`?model=${shownAddress(address, this.#env.baseUrl)}`) });
    }
    if (named.kind === 'repository') return this.#offer(linkToRepository(named.repository));
    const { choice } = named;
    // One of this site's that was deleted is offered, and not even asked for.
    const isGone = (await this.cache.wasDeleted(choice)) && (await isAtHand(choice, this.#env));
    const link = isGone ? undefined : await linkTo(choice, this.#env);
    return link === undefined ? this.#loadUnasked(choice, true) : this.#offer(link);
  }

  #offer(link: ModelLink): void {
    if (this.model.kind === 'starting') this.models.rest({ kind: 'none', offer: { why: 'linked', link } });
  }

  /** Loads a model unless the user has deleted it from this device: then it is only offered. */
  async #loadUnasked(choice: ModelChoice | undefined, mayLoad: boolean): Promise<void> {
    const wasDeleted = choice !== undefined && (await this.cache.wasDeleted(choice));
    if (this.model.kind !== 'starting') return; // something has been chosen meanwhile
    if (choice !== undefined && mayLoad && !wasDeleted) await this.models.load(choice);
    else this.models.rest(wasDeleted ? { kind: 'none', offer: { why: 'deleted', choice } } : { kind: 'none' });
  }

  /** The connection is back: a load that failed for want of it goes on. */
  backOnline(): void {
    const { failure } = this.models;
    if (failure?.problem.offline === true && failure.choice !== undefined) void this.models.load(failure.choice);
  }

  changeSettings(change: SettingsChange): void {
    this.settings.change(change);
    this.#host.requestUpdate();
  }

  resetSettings(): void {
    this.settings.reset();
    this.#host.requestUpdate();
  }

  /** For the poller. Rejects where what was read is of a model that is loaded no more. */
  readEngine(): Promise<EngineReading> | undefined {
    const { client } = this.models;
    if (client === undefined) return undefined;
    return Promise.all([client.metrics(), client.inspect()]).then(([metrics, snapshot]) => {
      if (client !== this.models.client) throw new Error('Another model has been loaded meanwhile.');
      return { metrics, snapshot };
    });
  }

  takeReading(reading: EngineReading): void {
    this.engine.take(reading, this.#env.now());
    this.#host.requestUpdate();
  }

  /** Injects a fault into the engine. Its effect is reported as a status. */
  injectFault(fault: Fault): void {
    this.models.client?.injectFault(fault).catch(() => {}); // it is gone already
  }

  /** Profiles the next steps; what comes of it is `profiling.state`. */
  profileSteps(): void {
    const { client } = this.models;
    if (client !== undefined) void this.profiling.run(client);
  }

  /** The banner that tells of a recovery has been seen. */
  dismissRecovery(): void {
    this.engine.recovery = undefined;
    this.#host.requestUpdate();
  }

  #switched({ choice, info }: ReadyModel): void {
    this.engine.reset();
    this.profiling.reset();
    this.cache.wanted(choice);
    this.settings.recommend(recommendationFor(info, choice.label));
    this.#env.rememberModel(choice, this.defaultModel?.available === true && this.defaultModel.choice === choice);
  }

  /** An error that ends the engine, not only the answer, also ends `ready`. */
  #answerFailed(problem: Problem, client: ChatClient): void {
    const isFatal = problem.code === 'device_lost' || problem.code === 'closed' || problem.code === 'out_of_memory';
    if (!isFatal || client !== this.models.client) return;
    this.engine.recovery = undefined;
    this.models.lose(client, problem);
  }

  /** For what changes with every token. */
  #renderSoon(): void {
    if (this.#frameRequested) return;
    this.#frameRequested = true;
    this.#env.nextFrame(() => {
      this.#frameRequested = false;
      this.#host.requestUpdate();
    });
  }
}
