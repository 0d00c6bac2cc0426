import { html, nothing, svg, type PropertyValues, type TemplateResult } from 'lit';
import { customElement, property, query, state } from 'lit/decorators.js';
import type { EngineSnapshot, RequestSnapshot } from '../../../src/index.ts';
import { blockAt, count, describeBlock, describePool, drawBlocks, holdersOf, type BlockMap } from '../block-map.ts';
import { formatCount, UNKNOWN } from '../format.ts';
import { ownerOf, type Tone } from '../tones.ts';
import { LightElement } from './light-element.ts';

/** The element under the pointer: a request in the legend, or a block in the picture. */
type Pointed = { readonly request: string } | { readonly block: number };

/** The KV cache as a picture: a cell a block, in the colour of the request that holds it. */
@customElement('ts-block-pool')
export class BlockPool extends LightElement {
  @property({ attribute: false }) snapshot: EngineSnapshot | undefined;
  @property({ attribute: false }) tones: ReadonlyMap<string, Tone> = new Map();
  @state() private pointed: Pointed | undefined;
  @query('.pool-picture') private readonly picture!: SVGSVGElement | null;
  #map: BlockMap | undefined;

  protected override willUpdate(changed: PropertyValues): void {
    if (changed.has('snapshot')) this.#map = this.snapshot === undefined ? undefined : drawBlocks(this.snapshot);
  }

  protected override render(): TemplateResult {
    const { snapshot } = this;
    const { pool } = snapshot ?? {};
    const used = pool === undefined ? 0 : pool.numBlocks - pool.numFree;
    return html`<section class="pool" aria-label="KV cache">
      <p class="row"><span title=${pool?.blockSize ? `Blocks of ${pool.blockSize} tokens` : 'Blocks of the paged KV cache'}>KV cache</span>
        <span class="number" data-testid="metric-kv">${pool !== undefined && pool.numBlocks > 0
          ? html`${formatCount(used)} / ${formatCount(pool.numBlocks)}` : UNKNOWN} <small>blocks</small></span></p>
      ${snapshot !== undefined && this.#map !== undefined ? this.#picture(snapshot, this.#map) : html`<div class="pool-empty"></div>`}
      <p class="pool-caption" data-testid="pool-caption">${this.#caption()}</p>
      ${snapshot === undefined ? nothing : this.#legend(snapshot)}
    </section>`;
  }

  #picture(snapshot: EngineSnapshot, map: BlockMap): TemplateResult {
    const { pointed } = this;
    const lit = this.#litRequests();
    return html`<svg class="pool-picture ${lit.size > 0 ? 'is-pointed' : ''}" data-testid="pool" role="img"
      aria-label=${describePool(snapshot)} viewBox="0 0 ${map.width} ${Math.max(map.height, 1)}"
      @pointermove=${this.#point} @pointerdown=${this.#point} @pointerleave=${this.#leave}>
      ${svg`<defs><pattern id="hatch" width="3" height="3" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
          <rect width="3" height="3" class="pool-hatch-ground" /><line y2="3" class="pool-hatch" /></pattern></defs>
        <path class="pool-free" d=${map.free} />
        <path class="pool-kept" data-testid="pool-kept" d=${map.kept} />
        ${map.requests.map(({ request, held, filled }) => svg`<g class=${toneClass(this.tones.get(request.id), lit.has(request.id))}
          data-testid="pool-request" data-own=${request.isOwn} data-blocks=${request.blockTable.length}>
          <path class="pool-held" d=${held} /><path class="pool-filled" d=${filled} /></g>`)}
        <path class="pool-shared" data-testid="pool-shared" data-blocks=${snapshot.pool.shared.length} d=${map.shared} />
        ${pointed !== undefined && 'block' in pointed ? svg`<path class="pool-pointed" d=${map.outline(pointed.block)} />` : nothing}`}
    </svg>`;
  }

  #legend({ requests, pool }: EngineSnapshot): TemplateResult {
    return html`
      <ul class="pool-requests" aria-label="Requests">
        ${requests.map((request) => html`<li><button type="button" data-testid="pool-legend"
          class=${toneClass(this.tones.get(request.id), this.#litRequests().has(request.id))}
          @pointerenter=${() => this.#pointAt(request)} @pointerleave=${this.#leave}
          @focus=${() => this.#pointAt(request)} @blur=${this.#leave} @click=${() => this.#pointAt(request)}>
          <span class="swatch" aria-hidden="true"></span>
          <span class="owner">${ownerOf(request)}</span>
          <span class="number">${request.state === 'waiting' ? 'waiting'
            : html`${count(request.blockTable.length, 'block')} <small>${formatCount(request.numTokens)} tokens</small>`}</span>
        </button></li>`)}
      </ul>
      <ul class="pool-key" aria-label="Key">
        <li><span class="swatch is-shared" aria-hidden="true"></span>shared${pool.shared.length > 0 ? html` <b class="number">${pool.shared.length}</b>` : nothing}</li>
        <li><span class="swatch is-kept" aria-hidden="true"></span>kept prefix${pool.cachedFree.length > 0 ? html` <b class="number">${pool.cachedFree.length}</b>` : nothing}</li>
        <li><span class="swatch is-free" aria-hidden="true"></span>free</li>
      </ul>`;
  }

  #caption(): string {
    const { snapshot, pointed } = this;
    if (snapshot === undefined || snapshot.pool.numBlocks === 0) return 'Where the model keeps what it has read.';
    if (pointed !== undefined && 'block' in pointed) return describeBlock(snapshot, pointed.block, ownerOf);
    const request = snapshot.requests.find(({ id }) => pointed !== undefined && id === pointed.request);
    if (request !== undefined) return describeRequest(request);
    const { numRunning, numWaiting } = countRequests(snapshot);
    if (numRunning === 0 && numWaiting > 0) return 'No blocks now: the answers wait, and keep their tokens.';
    const hidden = snapshot.pool.numBlocks - (this.#map?.cells.length ?? 0);
    if (hidden > 0) return `${count(hidden, 'more free block')} not shown.`;
    return `One cell is a block of ${snapshot.pool.blockSize} tokens.`;
  }

  /** The requests whose blocks stand out. */
  #litRequests(): ReadonlySet<string> {
    const { pointed, snapshot } = this;
    if (pointed === undefined || snapshot === undefined) return new Set();
    if ('request' in pointed) return new Set([pointed.request]);
    return new Set((holdersOf(snapshot).get(pointed.block) ?? []).map(({ id }) => id));
  }

  #pointAt({ id }: RequestSnapshot): void {
    this.pointed = { request: id };
  }

  readonly #point = ({ clientX, clientY }: PointerEvent): void => {
    const box = this.picture?.getBoundingClientRect();
    if (box === undefined || this.#map === undefined) return;
    const block = blockAt(this.#map, (clientX - box.left) / box.width, (clientY - box.top) / box.height);
    this.pointed = block === undefined ? undefined : { block };
  };

  readonly #leave = (): void => {
    this.pointed = undefined;
  };
}

function countRequests({ requests }: EngineSnapshot): { readonly numRunning: number; readonly numWaiting: number } {
  const numRunning = requests.filter(({ state }) => state === 'running').length;
  return { numRunning, numWaiting: requests.length - numRunning };
}

function describeRequest(request: RequestSnapshot): string {
  const { numTokens, numComputedTokens, blockTable } = request;
  if (request.state === 'waiting') return `${count(numTokens, 'token')} of ${ownerOf(request)}, waiting for a turn`;
  const computed = `${formatCount(numComputedTokens)} of ${count(numTokens, 'token')} computed`;
  return `${computed}, in ${count(blockTable.length, 'block')}`;
}

function toneClass(tone: Tone | undefined, isLit: boolean): string {
  const name = tone === undefined ? '' : `tone-${tone.hue} shade-${tone.shade}`;
  return isLit ? `${name} is-lit` : name;
}
