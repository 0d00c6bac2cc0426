import { html, type TemplateResult } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import type { DefaultModel } from '../default-model.ts';
import type { ModelCache } from '../model-cache.ts';
import type { RepositoryState } from '../repository.ts';
import './cache-list.ts';
import { DialogElement } from './dialog-element.ts';
import './model-picker.ts';

/** Every way to name a model, and those on this device, over the page. */
@customElement('ts-model-dialog')
export class ModelDialog extends DialogElement {
  @property({ attribute: false }) defaultModel: DefaultModel | undefined;
  /** It changes in place. */
  @property({ attribute: false, hasChanged: () => true }) cache: ModelCache | undefined;
  @property({ attribute: false }) repository: RepositoryState | undefined;
  protected readonly heading = 'Choose a model';

  protected body(): TemplateResult {
    return html`<ts-model-picker .defaultModel=${this.defaultModel} .repository=${this.repository}></ts-model-picker>
      <ts-cache-list .cache=${this.cache} .defaultModel=${this.defaultModel}></ts-cache-list>`;
  }
}
