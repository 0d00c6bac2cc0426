/** Numbers as people read them. Unknown values (`undefined`, NaN, infinite) become a dash. */
export const UNKNOWN = '–';

export interface Quantity {
  readonly value: string;
  readonly unit: string;
}

/** Decimal megabytes, as a download dialogue counts them: `98.4 MB`. */
export function formatBytes(bytes: number): string {
  if (!Number.isFinite(bytes)) return UNKNOWN;
  if (bytes < 1e3) return `${Math.round(bytes)} B`;
  if (bytes < 1e6) return `${Math.round(bytes / 1e3)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

/** Milliseconds below one second, seconds above: `84 ms`, `1.24 s`. */
export function formatDuration(milliseconds: number | undefined): Quantity {
  if (milliseconds === undefined || !Number.isFinite(milliseconds)) return { value: UNKNOWN, unit: 'ms' };
  if (milliseconds < 10) return { value: milliseconds.toFixed(1), unit: 'ms' };
  if (milliseconds < 1000) return { value: milliseconds.toFixed(0), unit: 'ms' };
  return { value: (milliseconds / 1000).toFixed(milliseconds < 10_000 ? 2 : 1), unit: 's' };
}

/** A rate a second with three significant digits or so; 0 and unknown are a dash. */
export function formatRate(rate: number | undefined): string {
  if (rate === undefined || !Number.isFinite(rate) || rate <= 0) return UNKNOWN;
  if (rate < 100) return rate.toFixed(1);
  return rate < 10_000 ? Math.round(rate).toString() : `${(rate / 1000).toFixed(1)}k`;
}

/** `12 s left`, `3 min 10 s left`; empty while unknown. */
export function formatTimeLeft(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return '';
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s left`;
  const minutes = Math.floor(whole / 60);
  return minutes < 60 ? `${minutes} min ${whole % 60} s left` : `${Math.floor(minutes / 60)} h ${minutes % 60} min left`;
}

export const formatCount = (count: number): string => count.toLocaleString('en-US');

/** `42 %`; empty while unknown. */
export function percent(done: number | undefined, total: number | undefined): string {
  if (done === undefined || total === undefined || total <= 0) return '';
  return `${Math.floor((100 * Math.min(done, total)) / total)} %`;
}

/** A kernel's time: `512 µs`, `1.54 ms`, `149 ms`. */
export function formatFineDuration(milliseconds: number): string {
  return milliseconds < 1 ? `${(1000 * milliseconds).toFixed(0)} µs` : `${formatSignificant(milliseconds)} ms`;
}

/** Three digits: `0.21`, `4.75`, `13.2`, `4,321`. */
export function formatSignificant(value: number): string {
  return value.toLocaleString('en-US', value < 100 ? { maximumSignificantDigits: 3 } : { maximumFractionDigits: 0 });
}

/** A share of 1: `0.4 %`, `37 %`. */
export function share(value: number): string {
  return `${(100 * value).toFixed(value < 0.0995 ? 1 : 0)} %`;
}

const AGO = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const UNITS = [['day', 86_400], ['hour', 3600], ['minute', 60]] as const;

/** `just now`, `5 minutes ago`, `yesterday`; a date when it is more than a month ago. @param then milliseconds since 1970 */
export function formatAgo(then: number, now = Date.now()): string {
  const seconds = (now - then) / 1000;
  if (seconds > 30 * 86_400) return new Date(then).toLocaleDateString('en', { dateStyle: 'medium' });
  const unit = UNITS.find(([, length]) => seconds >= length);
  return unit === undefined ? 'just now' : AGO.format(-Math.floor(seconds / unit[1]), unit[0]);
}
