import { html, nothing, type TemplateResult } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import type { AdapterSummary, EngineMetrics, ModelInfo } from '../../../src/index.ts';
import type { AnswerStats } from '../conversation.ts';
import { formatBytes, formatCount, formatDuration, formatRate, UNKNOWN } from '../format.ts';
import { LightElement } from './light-element.ts';
import { sparkline } from './sparkline.ts';

/** What this tab's latest answer cost, and what the engine does for every tab. */
@customElement('ts-live-figures')
export class LiveFigures extends LightElement {
  @property({ attribute: false }) metrics: EngineMetrics | undefined;
  @property({ attribute: false }) stats: AnswerStats | undefined;
  @property({ attribute: false }) samples: readonly number[] = [];
  @property({ attribute: false }) info: ModelInfo | undefined;

  protected override render(): TemplateResult {
    const { metrics, stats } = this;
    const ttft = formatDuration(stats?.ttft_ms);
    const itl = formatDuration(stats?.itl_ms);
    return html`
      <dl class="tiles">
        ${tile('TTFT', 'metric-ttft', ttft.value, ttft.unit, 'Time to first token: from sending to the first token of the latest answer')}
        ${tile('Speed', 'metric-tps', formatRate(stats?.tokens_per_second), 'tok/s', 'Tokens a second of the latest answer')}
        ${tile('ITL', 'metric-itl', itl.value, itl.unit, 'Inter-token latency: mean time between two tokens of the latest answer')}
        ${tile('Prefill', 'metric-prefill', formatRate(metrics?.prefillTokensPerSecond), 'tok/s', 'Prompt tokens read a second')}
      </dl>
      <section class="chart" aria-label="Throughput">
        <p class="row"><span>Throughput, all tabs</span>
          <span class="number" data-testid="metric-throughput">${this.samples.at(-1) === 0 ? '0' : formatRate(this.samples.at(-1))} <small>tok/s</small></span></p>
        ${sparkline(this.samples)}
      </section>
      ${kvCache(metrics)}
      <dl class="counts">
        ${count('Running', 'metric-running', metrics?.requestsRunning)}
        ${count('Waiting', 'metric-waiting', metrics?.requestsWaiting)}
        ${count('Tabs', 'metric-sessions', metrics?.sessions)}
      </dl>
      ${adapterCard(metrics?.adapter)}
      ${modelCard(this.info)}`;
  }
}

function tile(label: string, testId: string, value: string, unit: string, title: string): TemplateResult {
  return html`<div class="tile" title=${title}><dt>${label}</dt>
    <dd data-testid=${testId} class=${value === UNKNOWN ? 'is-unknown' : ''}><span class="number">${value}</span> <small>${unit}</small></dd></div>`;
}

function count(label: string, testId: string, value: number | undefined): TemplateResult {
  return html`<div><dt>${label}</dt>
    <dd class="number" data-testid=${testId}>${value === undefined ? UNKNOWN : formatCount(value)}</dd></div>`;
}

function kvCache(metrics: EngineMetrics | undefined): TemplateResult {
  const { kvBlocksUsed = 0, kvBlocksTotal = 0, kvBlockSize = 0 } = metrics ?? {};
  const share = kvBlocksTotal > 0 ? kvBlocksUsed / kvBlocksTotal : 0;
  return html`<section class="kv" title=${kvBlockSize > 0 ? `Blocks of ${kvBlockSize} tokens` : 'Blocks of the paged KV cache'}>
    <p class="row"><span>KV cache</span><span class="number" data-testid="metric-kv">${
      kvBlocksTotal > 0 ? html`${formatCount(kvBlocksUsed)} / ${formatCount(kvBlocksTotal)}` : UNKNOWN} <small>blocks</small></span></p>
    <div class="bar" role="meter" aria-label="KV cache in use" aria-valuemin="0" aria-valuemax=${kvBlocksTotal}
      aria-valuenow=${kvBlocksUsed}><span style="--share:${share}"></span></div>
  </section>`;
}

function adapterCard(adapter: AdapterSummary | undefined): TemplateResult | typeof nothing {
  if (adapter === undefined) return nothing;
  const { vendor, architecture, device, description, isSoftware, features } = adapter;
  const name = description || device || [vendor, architecture].filter((part) => part !== '').join(' ') || 'GPU';
  return html`<section class="card">
    <h3>Adapter</h3>
    <p data-testid="adapter">${name}${isSoftware
      ? html` <span class="badge is-warning" title="The CPU stands in for a GPU: expect a fraction of the speed">software</span>` : nothing}</p>
    ${features.length === 0 ? nothing
      : html`<p class="badges" data-testid="features">${features.map((name) => html`<span class="badge">${name}</span>`)}</p>`}
  </section>`;
}

function modelCard(info: ModelInfo | undefined): TemplateResult | typeof nothing {
  if (info === undefined) return nothing;
  return html`<section class="card">
    <h3>Model</h3>
    <p data-testid="model-name">${info.name || info.id}</p>
    <p class="badges"><span class="badge">${info.architecture}</span>
      <span class="badge">${formatBytes(info.fileBytes)}</span>
      <span class="badge">${formatCount(info.maxModelLen)} tokens of context</span></p>
  </section>`;
}
