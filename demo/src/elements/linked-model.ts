import { html, type TemplateResult } from 'lit';
import type { ModelLink } from '../model-link.ts';

/**
 * A model or repository that a link names: its host, its address, and the button that loads it.
 *
 * @param inChat below a conversation: in short, and with a way to the picker
 * @param act called by the button
 */
export function linkedModel(link: ModelLink, inChat: boolean, act: () => void, choose: () => void): TemplateResult {
  const { title, told, label } = words(link);
  const button = html`<button type="button" class="button is-primary" data-testid="load-linked" @click=${act}>${label}</button>`;
  const url = html`<p class=${inChat ? 'help' : 'reason'} data-testid="linked-url">${link.url}</p>`;
  if (inChat) {
    return html`<div class="load" data-testid="linked-model"><p class="help">${title}.</p>${url}
      <p class="problem-actions">${button}<button type="button" class="button" @click=${choose}>Choose another</button></p></div>`;
  }
  return html`<div class="lead" data-testid="linked-model"><h1>${title}</h1><p>${told}</p>${url}${button}</div>`;
}

interface Words {
  readonly title: string;
  readonly told: string;
  readonly label: string;
}

function words(link: ModelLink): Words {
  const { host } = link;
  if (link.kind === 'repository') {
    return {
      title: `The link names a repository on ${host}`,
      told: `Nothing has been asked of ${host} yet.`,
      label: `List its files from ${host}`,
    };
  }
  const trust = 'Nothing has been downloaded. Load it if you trust where it comes from: this page shows whatever it says.';
  if (!link.isRedirected) return { title: `The link names a model on ${host}`, told: trust, label: `Load it from ${host}` };
  return {
    title: 'The link names a model that may be on another site',
    told: `The address is one of ${host}, which leads on to another. Which one, the browser does not tell before it is loaded. ${trust}`,
    label: 'Load it all the same',
  };
}
