import { html, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { classMap } from 'lit/directives/class-map.js';
import { depthOf, flatten, KERNEL_KINDS, neighbour, placeIn, type FlameNode, type KernelKind } from '../flame.ts';
import { formatFineDuration, share } from '../format.ts';
import { LightElement } from './light-element.ts';
import { styles } from './styles.ts';

/** A part narrower than this share of the chart is not drawn; zooming in shows it. */
const MIN_WIDTH = 0.001;
/** A part narrower than this has no room for words. */
const MIN_LABEL_WIDTH = 0.12;

const KIND_NAMES: Readonly<Record<KernelKind, string>> = {
  matmul: 'matmul',
  attention: 'attention',
  norm: 'norm',
  rope: 'RoPE, KV',
  sampling: 'sampling',
  other: 'other',
};

/**
 * A step as an icicle: the step, below it its layers, below them their kernels; widths are time. A click or Enter zooms into
 * a part, on the whole's row out again; arrow keys walk through the parts.
 */
@customElement('ts-flame-chart')
export class FlameChart extends LightElement {
  @property({ attribute: false }) flame: FlameNode | undefined;
  /** A kernel whose parts stand out. */
  @property({ attribute: false }) lit: string | undefined;
  @state() private zoomed = '0';
  /** The part that has the focus, or would get it. */
  @state() private focused = '0';
  /** The part that the reader points at. */
  @state() private pointed: string | undefined;

  protected override willUpdate(changed: PropertyValues): void {
    if (changed.has('flame')) [this.zoomed, this.focused, this.pointed] = ['0', '0', undefined];
  }

  protected override render(): TemplateResult | typeof nothing {
    const { flame, lit } = this;
    if (flame === undefined) return nothing;
    const nodes = flatten(flame);
    const zoomed = nodes.find(({ key }) => key === this.zoomed) ?? flame;
    return html`<div class="flame ${lit === undefined ? '' : 'is-pointed'}" role="tree" data-testid="flame"
        aria-label="The step’s time: layers and their kernels" @keydown=${this.#key} @pointerleave=${() => this.#point(undefined)}>
        ${this.#shown(nodes, zoomed).map((node) => this.#part(node, zoomed))}
      </div>
      <p class="pool-caption flame-caption" data-testid="flame-caption">${this.#caption(nodes, flame, zoomed)}</p>
      <ul class="pool-key" aria-label="Key">${KERNEL_KINDS.filter((kind) => nodes.some((node) => node.kind === kind)).map(
        (kind) => html`<li class="kind-${kind}"><span class="swatch" aria-hidden="true"></span>${KIND_NAMES[kind]}</li>`)}</ul>`;
  }

  #shown(nodes: readonly FlameNode[], zoomed: FlameNode): readonly FlameNode[] {
    return nodes.filter((node) => (placeIn(node, zoomed)?.width ?? 0) >= MIN_WIDTH);
  }

  #part(node: FlameNode, zoomed: FlameNode): TemplateResult {
    const { left, width } = placeIn(node, zoomed) ?? { left: 0, width: 0 };
    const depth = depthOf(node);
    const place = styles({ left: `${100 * left}%`, width: `${100 * width}%`, '--row': String(depth) });
    const isAbove = depth < depthOf(zoomed);
    const isLabelled = width >= MIN_LABEL_WIDTH;
    const classes = {
      'is-group': node.kind === undefined,
      [`kind-${node.kind}`]: node.kind !== undefined,
      'is-above': isAbove,
      'is-labelled': isLabelled,
      'is-lit': node.label === this.lit,
    };
    return html`<button type="button" role="treeitem" data-testid="flame-part" data-key=${node.key} aria-level=${depth + 1}
      aria-label=${`${node.label}, ${formatFineDuration(node.ms)}`} tabindex=${node.key === this.focused ? 0 : -1} ${place}
      class=${classMap(classes)}
      @click=${() => this.#zoom(node)} @pointerenter=${() => this.#point(node.key)}
      @focus=${() => this.#point(node.key)} @blur=${() => this.#point(undefined)}>${isLabelled ? node.label : nothing}</button>`;
  }

  #caption(nodes: readonly FlameNode[], flame: FlameNode, zoomed: FlameNode): string {
    const node = nodes.find(({ key }) => key === this.pointed);
    if (node !== undefined) {
      const parent = nodes.find(({ key }) => key === node.key.split('.').slice(0, -1).join('.'));
      const where = node.kind === undefined || parent === undefined ? '' : ` in ${parent.label.toLowerCase()}`;
      return `${node.label}${where}: ${formatFineDuration(node.ms)}, ${share(flame.ms === 0 ? 0 : node.ms / flame.ms)}`;
    }
    return zoomed === flame ? 'Widths are GPU time. Press a layer to see its kernels.' : 'Press the step to see all of it.';
  }

  /** A kernel has nothing below it: its layer is what is shown. */
  #zoom({ key, children }: FlameNode): void {
    const target = children.length > 0 ? key : key.split('.').slice(0, -1).join('.');
    this.zoomed = target === this.zoomed ? '0' : target;
    this.focused = key;
  }

  #point(key: string | undefined): void {
    this.pointed = key;
    if (key !== undefined) this.focused = key;
  }

  readonly #key = (event: KeyboardEvent): void => {
    if (this.flame === undefined) return;
    if (event.key === 'Escape' && this.zoomed !== '0') {
      event.preventDefault();
      this.focused = this.zoomed;
      this.zoomed = '0';
      this.#takeFocus();
      return;
    }
    const nodes = flatten(this.flame);
    const zoomed = nodes.find(({ key }) => key === this.zoomed) ?? this.flame;
    const next = neighbour(this.#shown(nodes, zoomed), this.focused, event.key);
    if (!event.key.startsWith('Arrow') || next === undefined) return;
    event.preventDefault();
    this.focused = next;
    this.#takeFocus();
  };

  #takeFocus(): void {
    void this.updateComplete.then(() => this.querySelector<HTMLElement>('[role=treeitem][tabindex="0"]')?.focus());
  }
}
