import { LitElement } from 'lit';

/**
 * Renders into the document itself: one style sheet, labels and ids that reach across elements, and a page that any
 * script can query.
 */
export abstract class LightElement extends LitElement {
  protected override createRenderRoot(): HTMLElement {
    return this;
  }

  /** Tells the elements above. */
  protected emit(type: string, detail?: unknown): void {
    this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true }));
  }
}
