import type { Frame } from '../../src/core/frames.ts';
import type { EngineMetrics } from '../../src/core/metrics.ts';
import type { LoadProgress } from '../../src/core/progress.ts';
import type { GenerateRequest, LoadOptions, ModelInfo, Queued } from '../../src/core/protocol.ts';
import type { EngineSnapshot } from '../../src/core/snapshot.ts';
import type { EngineStatus } from '../../src/core/status.ts';
import { ModelManager, type ModelManagerOptions } from '../../src/worker/model-manager.ts';
import type { ModelInstance } from '../../src/worker/model-instance.ts';
import type { ServedModel } from '../../src/worker/served-model.ts';
import type { ConnectedSession } from '../../src/worker/session-registry.ts';
import { FakeChannels } from './fake-channels.ts';
import { FakeLocks } from './fake-locks.ts';

/** A worker's model manager. @default alone on its origin, at time 0 */
export function openManager(options: Pick<ModelManagerOptions, 'loadModel'> & Partial<ModelManagerOptions>): ModelManager {
  return new ModelManager({ locks: new FakeLocks().locks, gpuChannel: new FakeChannels().open(), clock: () => 0, ...options });
}

/** A session of a model manager, and what it is sent. */
export class Tab implements ConnectedSession {
  readonly frames: Frame[] = [];
  readonly progress: LoadProgress[] = [];
  isHidden = false;
  readonly sessionId: string;
  readonly manager: ModelManager;

  constructor(sessionId: string, manager: ModelManager) {
    this.sessionId = sessionId;
    this.manager = manager;
    manager.attach(this);
  }

  send(frames: readonly Frame[]): void {
    this.frames.push(...frames);
  }

  /** @param model its source, or all options */
  load(model: string | LoadOptions): Promise<ModelInfo> {
    const options = typeof model === 'string' ? { source: model } : model;
    return this.manager.load(this, options, (progress) => this.progress.push(progress));
  }

  setHidden(isHidden: boolean): void {
    this.isHidden = isHidden;
    this.manager.visibilityChanged();
  }

  restore(source: string): void {
    this.manager.restore(this, { source });
  }

  /** A short prompt is queued at once. */
  generate(requestId: string, more: Partial<GenerateRequest> = {}): Queued | Promise<Queued> {
    const prompt = { messages: [{ role: 'user', content: 'Hi' }] } as const;
    const request = { requestId, prompt, maxTokens: undefined, temperature: 0, seed: 1, stop: [], ...more };
    return this.manager.require(this).generate(this, request);
  }

  abort(requestId: string): void {
    this.manager.of(this)?.abort(this, requestId);
  }

  leave(): void {
    this.manager.detach(this);
  }

  /** @throws TabserveError where it has none on the GPU */
  requireModel(): ServedModel {
    return this.manager.require(this).lifecycle.requireModel();
  }

  get instance(): ModelInstance | undefined {
    return this.manager.of(this);
  }

  get metrics(): EngineMetrics {
    return this.manager.metrics(this);
  }

  get snapshot(): EngineSnapshot {
    return this.manager.snapshot(this);
  }

  get state(): string {
    return this.metrics.state;
  }

  get text(): string {
    return this.frames.map((frame) => ('text' in frame ? frame.text : '')).join('');
  }

  get errors(): unknown[] {
    return this.frames.flatMap((frame) => (frame.type === 'error' ? [frame.error.code] : []));
  }

  get statuses(): EngineStatus[] {
    return this.frames.flatMap((frame) => (frame.type === 'status' ? [frame.status] : []));
  }
}
