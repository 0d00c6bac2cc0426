import { TemplateFault } from './errors.ts';

/** JavaScript's most digits after the point. */
const MOST_DIGITS = 100;

/**
 * A float as Python's repr() writes it: the fewest digits that identify it, in powers of ten from 1e16 and below 1e-4.
 */
export function writeFloat(value: number): string {
  if (!Number.isFinite(value)) return writeInfinite(value);
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  const [mantissa = '', exponent = ''] = Math.abs(value).toExponential().split('e');
  const [digits, power] = [mantissa.replace('.', ''), Number(exponent)];
  if (power < -4 || power >= 16) return `${sign}${mantissa}e${writeExponent(power)}`;
  if (power < 0) return `${sign}0.${'0'.repeat(-power - 1)}${digits}`;
  const whole = digits.slice(0, power + 1).padEnd(power + 1, '0');
  return `${sign}${whole}.${digits.slice(power + 1) || '0'}`;
}

function writeInfinite(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  return value > 0 ? 'inf' : '-inf';
}

function writeExponent(power: number): string {
  return `${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
}

/** A number with `digits` digits after the point, rounded as in Python: exactly, halves to the even digit. */
export function writeFixed(value: number, digits: number): string {
  if (!Number.isFinite(value)) return writeInfinite(value);
  if (digits > MOST_DIGITS) throw new TemplateFault(`more than ${MOST_DIGITS} digits behind the point`);
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  const size = Math.abs(value);
  if (size >= 1e21) return `${sign}${BigInt(size)}${digits > 0 ? `.${'0'.repeat(digits)}` : ''}`;
  const exact = size.toFixed(MOST_DIGITS);
  const end = exact.indexOf('.') + 1 + digits;
  const rounded = size.toFixed(digits);
  // toFixed() rounds halves up.
  const isHalf = /^50*$/.test(exact.slice(end));
  const below = digits === 0 ? exact.slice(0, end - 1) : exact.slice(0, end);
  return sign + (isHalf && /[02468]$/.test(below) ? below : rounded);
}

/** As `%e` writes it. */
export function writeScientific(value: number, digits: number): string {
  if (!Number.isFinite(value)) return writeInfinite(value);
  if (digits > MOST_DIGITS) throw new TemplateFault(`more than ${MOST_DIGITS} digits behind the point`);
  const [mantissa, power] = value.toExponential(digits).split('e');
  return `${mantissa}e${writeExponent(Number(power))}`;
}

/** As `%g` writes it: `digits` digits in all, without trailing zeros. */
export function writeGeneral(value: number, digits: number): string {
  if (!Number.isFinite(value)) return writeInfinite(value);
  const count = Math.min(Math.max(digits, 1), MOST_DIGITS);
  const [mantissa = '', exponent = ''] = value.toExponential(count - 1).split('e');
  const power = Number(exponent);
  const trim = (text: string): string => (text.includes('.') ? text.replace(/\.?0+$/, '') : text);
  if (power < -4 || power >= count) return `${trim(mantissa)}e${writeExponent(power)}`;
  return trim(writeFixed(value, count - 1 - power));
}

/** Python's round(): halves to the even neighbour. */
export function roundTo(value: number, digits: number): number {
  if (!Number.isFinite(value)) return value;
  if (digits >= 0) return Number(writeFixed(value, Math.min(digits, MOST_DIGITS)));
  const unit = 10 ** -digits;
  const half = value / unit;
  const floor = Math.floor(half);
  const rounded = half - floor === 0.5 ? floor + (floor % 2) : Math.round(half);
  return rounded * unit;
}

/** Commas, or underscores, between groups of three digits. */
export function groupDigits(digits: string, separator: string): string {
  return digits.replace(/\B(?=(\d{3})+$)/g, separator);
}

/** Python's floor division of integers or floats. */
export function floorDivide(a: number, b: number): number {
  return Math.floor((a - floorModulo(a, b)) / b + 0.5);
}

/** Python's `%`: it has the divisor's sign. */
export function floorModulo(a: number, b: number): number {
  const rest = a % b;
  return rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest;
}
