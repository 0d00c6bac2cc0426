import { html, nothing, type TemplateResult } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { repeat } from 'lit/directives/repeat.js';
import { count } from '../block-map.ts';
import { formatBytes } from '../format.ts';
import { FORMATS, obstacleOf } from '../gguf-names.ts';
import { hubChoice, type RepositoryName } from '../model-choice.ts';
import type { RepositoryFile, RepositoryState } from '../repository.ts';
import { LightElement } from './light-element.ts';

/** The GGUF files of a repository. Bubbles `load-model` with a ModelChoice. */
@customElement('ts-repository-list')
export class RepositoryList extends LightElement {
  @property({ attribute: false }) repository: RepositoryState | undefined;

  /** Always there, so that what comes into it is read out. */
  protected override render(): TemplateResult {
    return html`<div class="repository" role="status" data-testid="repository">${this.#body()}</div>`;
  }

  #body(): TemplateResult | typeof nothing {
    const { repository: state } = this;
    if (state === undefined) return nothing;
    const { id } = state.repository;
    switch (state.kind) {
      case 'asking':
        return html`<p class="help">Looking for the GGUF files of ${id}…</p>`;
      case 'failed':
        return html`<p class="help is-bad">${state.problem.title}. ${state.problem.detail}</p>`;
      case 'listed':
        return this.#list(state.repository, state.files);
    }
  }

  #list(repository: RepositoryName, files: readonly RepositoryFile[]): TemplateResult {
    if (files.length === 0) return html`<p class="help">${repository.id} has no GGUF files, so there is nothing in it to load.</p>`;
    const rows = files
      .map((file) => ({ ...file, obstacle: obstacleOf(file.path) }))
      .toSorted((a, b) => Number(a.obstacle !== undefined) - Number(b.obstacle !== undefined) || a.bytes - b.bytes);
    const canLoad = rows.filter(({ obstacle }) => obstacle === undefined).length;
    return html`<p class="help">${count(files.length, 'GGUF file')} in ${repository.id}${
      canLoad === 0 ? `, but none in a format that tabserve reads: ${FORMATS}` : ''}.</p>
      <ul class="rows">${repeat(rows, ({ path }) => path, ({ path, bytes, obstacle }) => {
        const choice = hubChoice(repository, path);
        return html`<li data-testid="repository-file">
          <div class="row-text"><b title=${path}>${choice.label}</b><small>${formatBytes(bytes)}${
            obstacle === undefined ? '' : ` · ${obstacle}`}</small></div>
          ${obstacle === undefined ? html`<button type="button" class="button is-small" aria-label="Load ${choice.label}"
            data-testid="repository-load" @click=${() => this.emit('load-model', choice)}>Load</button>` : nothing}
        </li>`;
      })}</ul>`;
  }
}
