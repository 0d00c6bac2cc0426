import { html, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import type { AdapterLimits, KernelProfile, StepProfile } from '../../../src/index.ts';
import { flameOf, kindOf, type FlameNode } from '../flame.ts';
import { formatFineDuration, formatSignificant, share } from '../format.ts';
import { PROFILED_STEPS, type ProfilingState } from '../profiling.ts';
import './flame-chart.ts';
import { icon } from './icons.ts';
import { LightElement } from './light-element.ts';

/** Where a step's time goes on the GPU. Bubbles `profile-steps` when it is asked for. */
@customElement('ts-step-profile')
export class StepProfileView extends LightElement {
  @property({ attribute: false }) profiling: ProfilingState = { kind: 'none' };
  /** Whether there is an engine to profile. */
  @property({ attribute: false }) ready = false;
  /** Whether an answer runs, of whatever tab. */
  @property({ attribute: false }) busy = false;
  /** The kernel that the reader points at. */
  @state() private kernel: string | undefined;
  #flame: FlameNode | undefined;

  protected override willUpdate(changed: PropertyValues): void {
    if (!changed.has('profiling')) return;
    this.#flame = this.profiling.kind === 'ready' ? flameOf(this.profiling.profile) : undefined;
    this.kernel = undefined;
  }

  protected override render(): TemplateResult {
    const { profiling, busy } = this;
    const isWaiting = profiling.kind === 'waiting';
    const label = isWaiting ? (busy ? 'Profiling…' : 'Waiting for an answer…') : `Profile ${PROFILED_STEPS} steps`;
    return html`<details class="developer" data-testid="profiler">
      <summary>Where the time goes ${icon('chevron')}</summary>
      <button type="button" class="button profile-button" data-testid="profile" aria-describedby="profile-help"
        ?disabled=${!this.ready || isWaiting} @click=${() => this.emit('profile-steps')}>${icon('pulse')}${label}</button>
      <p class="help" id="profile-help" role="status" data-testid="profile-help">${this.#help()}</p>
      ${profiling.kind === 'ready' && this.#flame !== undefined ? this.#result(profiling.profile, this.#flame) : nothing}
    </details>`;
  }

  #help(): string {
    const { profiling } = this;
    if (profiling.kind === 'failed') return profiling.message;
    if (profiling.kind === 'ready') {
      const { steps, spanMs, resolutionUs } = profiling.profile;
      const coarse = resolutionUs >= 10 ? ` The browser's GPU clock ticks every ${formatFineDuration(resolutionUs / 1000)}: small parts are rough.` : '';
      return `The mean of ${steps} decode steps, ${formatFineDuration(spanMs)} each.${coarse}`;
    }
    return 'Times every kernel of an answer’s next steps on the GPU. The answer stays the same; those steps are slower.';
  }

  #result(profile: StepProfile, flame: FlameNode): TemplateResult {
    const pointed = profile.kernels.find(({ name }) => name === this.kernel);
    return html`
      <ts-flame-chart .flame=${flame} .lit=${this.kernel}></ts-flame-chart>
      <p class="help kernel-figures" data-testid="kernel-figures">${pointed === undefined
        ? 'Each kernel’s time in a step, and how near it comes to what the GPU can do.' : describe(pointed)}</p>
      <ul class="profile-kernels" aria-label="Kernels">${profile.kernels.map((kernel) => this.#row(kernel))}</ul>
      ${ceilings(profile.limits)}`;
  }

  #row(kernel: KernelProfile): TemplateResult {
    const { name, ms, ofCeiling } = kernel;
    const point = (): void => void (this.kernel = name);
    const leave = (): void => void (this.kernel = undefined);
    return html`<li><button type="button" class="kind-${kindOf(name)}" data-testid="profile-kernel"
      aria-label=${describe(kernel)} @pointerenter=${point} @pointerleave=${leave} @focus=${point} @blur=${leave}>
      <span class="swatch" aria-hidden="true"></span>
      <span class="kernel-name">${name}</span>
      <span class="number">${formatFineDuration(ms)}</span>
      <small class="number">${ofCeiling === undefined ? nothing : share(ofCeiling)}</small>
    </button></li>`;
  }
}

function describe(kernel: KernelProfile): string {
  return `${kernel.name}: ${formatFineDuration(kernel.ms)}, ${share(kernel.share)} of the step; ${figures(kernel)}`;
}

function figures({ calls, gbps, gflops, ofCeiling }: KernelProfile): string {
  return [
    `${formatSignificant(calls)} ×`,
    ...(gbps === undefined ? [] : [`${formatSignificant(gbps)} GB/s`]),
    ...(gflops === undefined || gflops === 0 ? [] : [`${formatSignificant(gflops)} GFLOP/s`]),
    ...(ofCeiling === undefined ? [] : [`${share(ofCeiling)} of the ceiling`]),
  ].join(' · ');
}

function ceilings(limits: AdapterLimits | undefined): TemplateResult {
  if (limits === undefined) return html`<p class="help">What the GPU can do at most is measured when no answer runs.</p>`;
  const { readGBps, f32Gflops, int8Gops, f16Gflops, dispatchUs, readbackMs } = limits;
  const figure = (label: string, value: string, unit: string): TemplateResult =>
    html`<div><dt>${label}</dt><dd><span class="number">${value}</span> <small>${unit}</small></dd></div>`;
  return html`<h3 class="ceilings-title">What this GPU can do at most</h3>
    <dl class="counts ceilings" data-testid="ceilings">
      ${figure('Reads', formatSignificant(readGBps), 'GB/s')}
      ${figure('f32', formatSignificant(f32Gflops), 'GFLOP/s')}
      ${f16Gflops === undefined ? nothing : figure('f16', formatSignificant(f16Gflops), 'GFLOP/s')}
      ${int8Gops === undefined ? nothing : figure('int8', formatSignificant(int8Gops), 'GOP/s')}
      ${figure('Dispatch', formatSignificant(dispatchUs), 'µs')}
      ${figure('Read-back', formatSignificant(readbackMs), 'ms')}
    </dl>`;
}
