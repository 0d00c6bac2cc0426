import { addressChoice, type ModelChoice } from './model-choice.ts';
import { shownAddress } from './shown-address.ts';

/** The value of `?model=`, exactly. Secrets are removed from the address. */
export function takeFromAddress(): string | null {
  const url = new URL(location.href);
  const given = url.searchParams.get('model');
  if (given === null) return null;
  const shown = shownAddress(given, document.baseURI);
  if (shown === given && url.searchParams.getAll('model').length === 1) return given;
  url.searchParams.set('model', shown);
  history.replaceState(null, '', url);
  return given;
}

/** So that a reload, or a link, brings the model that answers now; a local file has no address. */
export function rememberInAddress({ source }: ModelChoice, isDefault: boolean): void {
  const url = new URL(location.href);
  if (isDefault || typeof source !== 'string' || addressChoice(source) === undefined) url.searchParams.delete('model');
  else url.searchParams.set('model', shownAddress(source, document.baseURI));
  history.replaceState(null, '', url);
}

export function forgetInAddress(parameter: 'temperature'): void {
  const url = new URL(location.href);
  if (!url.searchParams.has(parameter)) return;
  url.searchParams.delete(parameter);
  history.replaceState(null, '', url);
}
