import { html, nothing, type TemplateResult } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import type { AdapterSummary, EngineMetrics, ModelInfo } from '../../../src/index.ts';
import { describeSamples, type AnswerPace } from '../answer-pace.ts';
import type { AnswerStats } from '../conversation.ts';
import type { EngineRoom } from '../engine-room.ts';
import { formatBytes, formatCount, formatDuration, formatRate, percent, UNKNOWN } from '../format.ts';
import type { ModelChoice } from '../model-choice.ts';
import './block-pool.ts';
import { icon } from './icons.ts';
import { LightElement } from './light-element.ts';
import { sparkline } from './sparkline.ts';

/** The cost of this tab's latest answer, and the engine's work for all tabs. */
@customElement('ts-live-figures')
export class LiveFigures extends LightElement {
  /** It changes in place; the panel renders when it does. */
  @property({ attribute: false, hasChanged: () => true }) engine: EngineRoom | undefined;
  @property({ attribute: false }) stats: AnswerStats | undefined;
  /** Of the latest answer; it changes in place. */
  @property({ attribute: false, hasChanged: () => true }) pace: AnswerPace | undefined;
  @property({ attribute: false }) choice: ModelChoice | undefined;
  @property({ attribute: false }) info: ModelInfo | undefined;

  protected override render(): TemplateResult {
    const { stats, engine, pace } = this;
    const { metrics, snapshot } = engine ?? {};
    const ttft = formatDuration(stats?.ttft_ms);
    const itl = formatDuration(stats?.itl_ms);
    return html`
      <dl class="tiles">
        ${tile('TTFT', 'metric-ttft', ttft.value, ttft.unit, 'Time to first token: from sending to the first token of the latest answer')}
        ${tile('Speed', 'metric-tps', formatRate(stats?.tokens_per_second), 'tok/s', 'Tokens a second of the latest answer',
          plot('Speed of the latest answer', pace?.rates, 'tokens a second', formatRate))}
        ${tile('ITL', 'metric-itl', itl.value, itl.unit, 'Inter-token latency: mean time between two tokens of the latest answer',
          plot('Inter-token latency of the latest answer', pace?.latencies, 'ms', (ms) => ms.toFixed(0)))}
        ${tile('Prefill', 'metric-prefill', formatRate(metrics?.prefillTokensPerSecond), 'tok/s', 'Prompt tokens read a second')}
      </dl>
      <ts-block-pool .snapshot=${snapshot} .tones=${engine?.tones}></ts-block-pool>
      ${this.#tabs(metrics)}
      ${charts(engine)}
      <dl class="counts">
        ${count('Running', 'metric-running', number(metrics?.requestsRunning))}
        ${count('Waiting', 'metric-waiting', number(metrics?.requestsWaiting))}
        ${count('Steps', 'metric-steps', rate(engine?.steps.samples.at(-1)), 'a second')}
        ${count('Prefix hits', 'metric-prefix', percent(metrics?.prefixCacheHits, metrics?.prefixCacheQueries) || UNKNOWN, '',
          'Prompt tokens found in the cache, of all that were looked up')}
        ${count('Preempted', 'metric-preemptions', number(metrics?.preemptions), '',
          'How often a request gave up its blocks for another and was computed anew')}
        ${count('Prompt + output', 'metric-tokens', metrics === undefined ? UNKNOWN
          : compact(metrics.promptTokens + metrics.generationTokens), 'tokens', 'Since the model was loaded')}
      </dl>`;
  }

  /** Opened without an opener, so that it starts with a conversation of its own. */
  #tabs(metrics: EngineMetrics | undefined): TemplateResult {
    const sessions = metrics?.sessions;
    const canOpen = this.choice !== undefined && typeof this.choice.source === 'string';
    return html`<p class="tabs-row">
      <span>Tabs <b class="number" data-testid="metric-sessions">${number(sessions)}</b></span>
      ${canOpen ? html`<a data-testid="second-tab" href=${location.href} target="_blank" rel="noopener"
        title="Both then share this engine, and stream at once">Open ${(sessions ?? 1) === 1 ? 'a second' : 'another'} tab ${icon('outward')}</a>` : nothing}
    </p>`;
  }
}

/** The adapter and the model, as cards. */
export function aboutCards(adapter: AdapterSummary | undefined, info: ModelInfo | undefined, label: string): TemplateResult {
  return html`${adapterCard(adapter)}${modelCard(info, label)}`;
}

function charts(engine: EngineRoom | undefined): TemplateResult {
  const samples = engine?.throughput.samples ?? [];
  const occupancy = engine?.occupancy ?? [];
  const rows = engine?.snapshot?.maxNumSeqs ?? 0;
  return html`<div class="charts">
    <section class="chart" aria-label="Batch">
      <p title="Requests that share each step, of as many as can"><span>Batch</span>
        <span class="number" data-testid="metric-batch">${occupancy.at(-1) ?? UNKNOWN} <small>of ${rows > 0 ? rows : UNKNOWN}</small></span></p>
      ${sparkline(occupancy, rows, `Requests in each step: ${describeSamples(occupancy, rows > 0 ? `of ${rows}` : 'requests', formatCount)}`)}
    </section>
    <section class="chart" aria-label="Throughput of all tabs">
      <p title="Tokens a second, over all tabs"><span>All tabs</span>
        <span class="number" data-testid="metric-throughput">${rate(samples.at(-1))} <small>tok/s</small></span></p>
      ${sparkline(samples, 1, `Throughput of all tabs: ${describeSamples(samples, 'tokens a second', rate)}`)}
    </section>
  </div>`;
}

const number = (value: number | undefined): string => (value === undefined ? UNKNOWN : formatCount(value));
const rate = (value: number | undefined): string => (value === 0 ? '0' : formatRate(value));
const compact = (value: number): string => value.toLocaleString('en-US', { notation: 'compact', maximumFractionDigits: 1 });

function tile(
  label: string, testId: string, value: string, unit: string, title: string, picture: TemplateResult | typeof nothing = nothing,
): TemplateResult {
  return html`<div class="tile" title=${title}><dt>${label}</dt>
    <dd data-testid=${testId} class=${value === UNKNOWN ? 'is-unknown' : ''}><span class="number">${value}</span> <small>${unit}</small></dd>${
      picture === nothing ? nothing : html`<dd class="plot">${picture}</dd>`}</div>`;
}

/** The samples of an answer as a line, and in words; nothing where there is no line yet. */
function plot(label: string, samples: readonly number[] | undefined, unit: string, format: (sample: number) => string): TemplateResult | typeof nothing {
  if (samples === undefined || samples.length < 2) return nothing;
  return sparkline(samples, 0, `${label}: ${describeSamples(samples, unit, format)}`);
}

function count(label: string, testId: string, value: string, unit = '', title = ''): TemplateResult {
  return html`<div title=${title}><dt>${label}</dt><dd><span class="number" data-testid=${testId}>${value}</span>${
    unit === '' ? nothing : html` <small>${unit}</small>`}</dd></div>`;
}

function adapterCard(adapter: AdapterSummary | undefined): TemplateResult | typeof nothing {
  if (adapter === undefined) return nothing;
  const { vendor, architecture, device, description, isSoftware, features } = adapter;
  const name = description || device || [vendor, architecture].filter((part) => part !== '').join(' ') || 'GPU';
  return html`<section class="card">
    <h3>Adapter</h3>
    <p data-testid="adapter">${name}${isSoftware
      ? html` <span class="badge is-warning" title="The CPU stands in for a GPU: expect a fraction of the speed">software</span>` : nothing}</p>
    ${import.meta.env.DEV ? nothing : html`<p class="help"><a href="bench/">Benchmark it</a></p>`}
    ${features.length === 0 ? nothing
      : html`<p class="badges" data-testid="features">${features.map((feature) => html`<span class="badge">${feature}</span>`)}</p>`}
  </section>`;
}

/** @param label shown first: the name in a file is often that of a training run. */
function modelCard(info: ModelInfo | undefined, label: string): TemplateResult | typeof nothing {
  if (info === undefined) return nothing;
  const ownName = info.name === '' || info.name === label ? undefined : info.name;
  return html`<section class="card">
    <h3>Model</h3>
    <p data-testid="model-name">${label}</p>
    ${ownName === undefined ? nothing : html`<p class="help" data-testid="model-own-name">Its file says “${ownName}”</p>`}
    <p class="badges"><span class="badge">${info.architecture}</span>
      <span class="badge">${formatBytes(info.fileBytes)}</span>
      <span class="badge">${formatCount(info.maxModelLen)} tokens of context</span></p>
  </section>`;
}
