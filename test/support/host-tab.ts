import type { Frame } from '../../src/core/frames.ts';
import type { Queued, ResumePoint } from '../../src/core/protocol.ts';
import type { EngineStatus } from '../../src/core/status.ts';
import type { Host } from '../../src/worker/host.ts';

/** A session of a host’s, and what it is sent. */
export class HostTab {
  readonly frames: Frame[] = [];
  readonly sessionId: string;
  readonly host: Host;

  constructor(sessionId: string, host: Host) {
    this.sessionId = sessionId;
    this.host = host;
    host.attach(this);
  }

  send(frames: readonly Frame[]): void {
    this.frames.push(...frames);
  }

  load(source: string) {
    return this.host.load(this, { source }, () => {});
  }

  keep(source: string): void {
    this.host.keep(this, { source });
  }

  async generate(requestId: string, timeoutMs?: number, resume?: ResumePoint): Promise<Queued> {
    const prompt = { messages: [{ role: 'user', content: 'Hi' }] } as const;
    const request = { requestId, prompt, maxTokens: undefined, temperature: 0, seed: 1, stop: [], scheduling: { timeoutMs }, resume };
    return this.host.generate(this, request);
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

  get state(): string {
    return this.host.metrics(this).state;
  }
}
