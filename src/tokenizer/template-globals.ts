import { type TemplateBudget, TemplateLimit } from './template-budget.ts';

const MONTHS = 'January February March April May June July August September October November December'.split(' ');
const pad = (number: number): string => String(number).padStart(2, '0');

const DATE_FORMATS: Readonly<Record<string, (date: Date) => string>> = {
  Y: (date) => String(date.getFullYear()),
  m: (date) => pad(date.getMonth() + 1),
  d: (date) => pad(date.getDate()),
  b: (date) => (MONTHS[date.getMonth()] ?? '').slice(0, 3),
  B: (date) => MONTHS[date.getMonth()] ?? '',
  H: (date) => pad(date.getHours()),
  M: (date) => pad(date.getMinutes()),
  '%': () => '%',
};

/** The names that chat templates expect beside Jinja's own (as in transformers' apply_chat_template). */
export function templateGlobals(budget: TemplateBudget): Readonly<Record<string, unknown>> {
  return {
    true: true,
    false: false,
    none: null,
    True: true,
    False: false,
    None: null,
    raise_exception: (message: unknown) => {
      throw new Error(typeof message === 'string' ? message : 'it gives no reason');
    },
    range: (...bounds: readonly unknown[]) => range(bounds, budget),
    strftime_now: (format: unknown) => {
      const now = new Date();
      return String(format).replace(/%([YmdbBHM%])/g, (_, letter: string) => DATE_FORMATS[letter]?.(now) ?? '');
    },
  };
}

/** Python's. */
function range(bounds: readonly unknown[], budget: TemplateBudget): readonly number[] {
  const numbers = bounds.map((bound) => {
    if (typeof bound === 'number' && Number.isSafeInteger(bound)) return bound;
    throw new Error('range() takes whole numbers');
  });
  const [start = 0, stop = 0, step = 1] = numbers.length === 1 ? [0, ...numbers] : numbers;
  if (step === 0) throw new Error('range() step must not be zero');
  const length = Math.max(0, Math.ceil((stop - start) / step));
  if (!Number.isFinite(length)) throw new TemplateLimit('a range has no end');
  budget.spend(length);
  return Array.from({ length }, (_, i) => start + i * step);
}
