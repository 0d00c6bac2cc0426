import { html, nothing, type TemplateResult } from 'lit';
import { customElement, state } from 'lit/decorators.js';
import { mark } from '../../src/elements/icons.ts';
import { LightElement } from '../../src/elements/light-element.ts';
import { formatDuration } from '../../src/format.ts';
import { BenchmarkRun, type PartProgress, type Suite } from './benchmark-run.ts';
import type { BenchModel } from './find-model.ts';
import { PART_CHOICES } from './part-choices.ts';
import { type Machine, machineInWords } from './machine.ts';
import { resultsTable } from './results-table.ts';
import type { SuiteOptions } from './suite-frame.ts';
import { caveatsOf, type Results, resultsOf, type RunFacts } from './results.ts';

/** What the page is given: whatever it needs of its browser and its server. */
export interface PageEnvironment {
  readonly machine: Machine;
  readonly model: BenchModel;
  /** Of this page, as results tell it. */
  readonly address: string;
  readonly references: readonly Results[];
  readonly openSuite: (options: SuiteOptions, onNote: (note: string) => void) => Promise<Suite>;
  /** Why nothing can be measured here. */
  readonly obstacle: string | undefined;
  readonly now: () => number;
}

const TITLES = new Map(PART_CHOICES.map(({ name, title }) => [name, title]));

const REFUSED = 'Nothing was kept: this tab was hidden during the run. Browsers slow hidden tabs down, so the figures would be '
  + 'wrong. Leave the tab in front, and run the benchmark again.';

/** The benchmark as a visitor runs it: choose, watch, compare, take the numbers along. Nothing is sent anywhere. */
@customElement('ts-benchmark')
export class BenchmarkPage extends LightElement {
  @state() private quick = true;
  @state() private chosen: ReadonlySet<string> = new Set(PART_CHOICES.slice(0, 2).map(({ name }) => name));
  @state() private reference = 0;
  @state() private copied = false;

  readonly #environment: PageEnvironment;
  readonly #run: BenchmarkRun;
  /** When the run began. */
  #date = new Date();

  constructor(environment: PageEnvironment) {
    super();
    this.#environment = environment;
    const { now, openSuite, model } = environment;
    this.#run = new BenchmarkRun(this, {
      now,
      isHidden: () => document.hidden,
      openSuite: (onNote) => openSuite({ model, quick: this.quick }, onNote),
    });
    const { isSoftware } = environment.machine;
    const same = environment.references.findIndex(({ head }) => head.adapter.isSoftware === isSoftware);
    this.reference = Math.max(0, same);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    document.addEventListener('visibilitychange', this.#visibility);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    document.removeEventListener('visibilitychange', this.#visibility);
  }

  protected override render(): TemplateResult {
    const { obstacle } = this.#environment;
    const run = this.#run;
    return html`
      <header class="bench-bar"><a class="wordmark" href="../">${mark}<span>tabserve</span></a><span class="help">benchmark</span></header>
      <main class="bench">
        <h1>How fast is your GPU at language models?</h1>
        <p class="lead">This page runs tabserve’s own benchmark in your browser, on your GPU. Your numbers stay here: nothing is
          sent anywhere, and you can take them along as a file.</p>
        ${this.#about()}
        ${obstacle === undefined ? this.#controls() : html`<p class="problem" role="alert" data-testid="obstacle">${obstacle}</p>`}
        ${run.state === 'hidden' ? html`<p class="problem" role="alert" data-testid="refused">${REFUSED}</p>` : nothing}
        ${run.parts.length === 0 ? nothing : this.#progress()}
        ${run.rows.length === 0 ? nothing : this.#results()}
      </main>`;
  }

  #about(): TemplateResult {
    const { machine, model } = this.#environment;
    return html`<dl class="facts">
      <div><dt>Adapter</dt><dd data-testid="adapter">${machineInWords(machine)}${machine.isSoftware
        ? html` <span class="badge is-warning">software: not a GPU</span>` : nothing}</dd></div>
      <div><dt>Model</dt><dd data-testid="model">${model.label}</dd></div>
      <div><dt>Browser</dt><dd>${machine.browser}</dd></div>
    </dl>`;
  }

  #controls(): TemplateResult {
    const isRunning = this.#run.state === 'running';
    const { linkedHost } = this.#environment.model;
    return html`<form class="card choices" @submit=${this.#start}>
      <fieldset ?disabled=${isRunning}>
        <legend>What to measure</legend>
        ${PART_CHOICES.map(({ name, title, what }) => html`<label class="choice">
          <input type="checkbox" name=${name} .checked=${this.chosen.has(name)} @change=${this.#choose} data-testid="part-${name}" />
          <span><b>${title}</b> <span class="help">${what}</span></span></label>`)}
        <label class="choice"><input type="checkbox" .checked=${this.quick} data-testid="quick"
            @change=${(event: Event) => { this.quick = (event.target as HTMLInputElement).checked; }} />
          <span><b>Quick</b> <span class="help">Fewer repeats and sizes</span></span></label>
      </fieldset>
      ${isRunning
        ? html`<button type="button" class="button" data-testid="stop" @click=${() => this.#run.stop()}>Stop</button>`
        : html`<button type="submit" class="button is-primary" data-testid="run" ?disabled=${this.chosen.size === 0}>${
          linkedHost === undefined ? 'Run the benchmark' : `Load the model from ${linkedHost}, and run the benchmark`}</button>`}
      ${linkedHost === undefined ? nothing : html`<p class="help" data-testid="linked-model">The link names a model from ${linkedHost}.
        Nothing has been downloaded. Run it if you trust where it comes from, or <a href="./">measure the default model</a>.</p>`}
      <p class="help">Leave this tab in front: a run during which it is hidden is not kept. Leave other heavy work for later.</p>
    </form>`;
  }

  #progress(): TemplateResult {
    const { parts, state, omitted } = this.#run;
    const done = parts.filter((part) => part.state === 'done' || part.state === 'failed').length;
    const headings = {
      idle: '',
      running: `Measuring: ${done} of ${parts.length} parts done`,
      done: 'Done',
      stopped: 'Stopped. What was measured is below',
      hidden: 'Ended: the tab was hidden',
    };
    return html`<section class="card" aria-label="Progress">
      <h2 data-testid="run-state" data-state=${state} aria-live="polite">${headings[state]}</h2>
      <ol class="parts">${parts.map(progressLine)}</ol>
      ${omitted.length === 0 ? nothing : html`<details><summary>Not measured: ${omitted.length}</summary>
        <ul>${omitted.map(({ what, why }) => html`<li>${what}: ${why}</li>`)}</ul></details>`}
    </section>`;
  }

  #results(): TemplateResult {
    const { references } = this.#environment;
    const compared = references[this.reference];
    const caveats = caveatsOf(this.#facts(), this.#run.rows);
    return html`<section aria-label="Results">
      <div class="results-head">
        <h2>Results</h2>
        ${references.length === 0 ? nothing : html`<label>Beside <select data-testid="reference"
            @change=${(event: Event) => { this.reference = Number((event.target as HTMLSelectElement).value); }}>
          ${references.map(({ head }, i) => html`<option value=${i} ?selected=${i === this.reference}>${machineInWords(head.adapter)}, ${head.date.slice(0, 10)}</option>`)}
        </select></label>`}
        <button type="button" class="button" data-testid="download" ?disabled=${this.#run.state === 'running'} @click=${this.#download}>Download JSON</button>
        <button type="button" class="button" data-testid="copy" ?disabled=${this.#run.state === 'running'} @click=${this.#copy}>${this.copied ? 'Copied' : 'Copy JSON'}</button>
      </div>
      ${caveats.length === 0 ? nothing : html`<p class="caveats" data-testid="caveats">Not a clean run: ${caveats.join('; ')}.</p>`}
      ${resultsTable(this.#run.rows, compared?.rows ?? [], TITLES)}
    </section>`;
  }

  #facts(): RunFacts {
    const { machine, model, address } = this.#environment;
    const { state, parts } = this.#run;
    return { machine, address, model: model.label, quick: this.quick, date: this.#date, wasStopped: state === 'stopped', parts };
  }

  readonly #start = (event: Event): void => {
    event.preventDefault();
    this.copied = false;
    this.#date = new Date();
    void this.#run.start(PART_CHOICES.filter(({ name }) => this.chosen.has(name)));
  };

  readonly #choose = (event: Event): void => {
    const { name, checked } = event.target as HTMLInputElement;
    const chosen = new Set(this.chosen);
    if (checked) chosen.add(name);
    else chosen.delete(name);
    this.chosen = chosen;
  };

  readonly #download = (): void => {
    const url = URL.createObjectURL(new Blob([this.#json()], { type: 'application/json' }));
    const link = document.createElement('a');
    link.href = url;
    link.download = `tabserve-benchmark-${new Date().toISOString().slice(0, 10)}.json`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  };

  readonly #copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(this.#json());
    this.copied = true;
  };

  readonly #visibility = (): void => {
    if (document.hidden) this.#run.refuse();
  };

  #json(): string {
    const { rows, omitted } = this.#run;
    return `${JSON.stringify(resultsOf(this.#facts(), rows, omitted), null, 2)}\n`;
  }
}

function progressLine({ part, state, ms, note }: PartProgress): TemplateResult {
  const took = formatDuration(ms);
  return html`<li data-testid="part" data-part=${part.name} data-state=${state}>
    <span class="part-dot" aria-hidden="true"></span><b>${part.title}</b>
    <span class="help">${state === 'waiting' ? 'waiting' : state === 'failed' ? `failed: ${note}` : note || state}</span>
    ${state === 'waiting' ? nothing : html`<span class="number">${took.value} ${took.unit}</span>`}
  </li>`;
}
