import { addressChoice, type ModelChoice } from './model-choice.ts';

/** So that a reload, or a link, brings the model that answers now; a local file has no address. */
export function rememberInAddress({ source }: ModelChoice, isDefault: boolean): void {
  const url = new URL(location.href);
  if (isDefault || typeof source !== 'string' || addressChoice(source) === undefined) url.searchParams.delete('model');
  else url.searchParams.set('model', source);
  history.replaceState(null, '', url);
}

export function forgetInAddress(parameter: 'temperature'): void {
  const url = new URL(location.href);
  if (!url.searchParams.has(parameter)) return;
  url.searchParams.delete(parameter);
  history.replaceState(null, '', url);
}
