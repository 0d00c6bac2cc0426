import { nothing, type ElementPart } from 'lit';
import { Directive, directive, type DirectiveParameters, type PartInfo, PartType } from 'lit/directive.js';

/**
 * Sets style properties of the element it stands in: `<p ${styles({ '--share': '0.5' })}>`. Never a `style` attribute,
 * as `styleMap` does at first, which a strict Content-Security-Policy refuses.
 */
class Styles extends Directive {
  constructor(part: PartInfo) {
    super(part);
    if (part.type !== PartType.ELEMENT) throw new TypeError('styles() stands in an element, not in an attribute.');
  }

  render(_properties: Readonly<Record<string, string>>): typeof nothing {
    return nothing;
  }

  override update(part: ElementPart, [properties]: DirectiveParameters<this>): typeof nothing {
    const { style } = part.element as HTMLElement;
    for (const [name, value] of Object.entries(properties)) style.setProperty(name, value);
    return nothing;
  }
}

export const styles = directive(Styles);
