import { Template } from '@huggingface/jinja';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { TabserveError } from '../../../src/core/errors.ts';
import type { ChatMessage } from '../../../src/core/protocol.ts';
import { createChatTemplate } from '../../../src/tokenizer/chat-template.ts';
import { TemplateBudget } from '../../../src/tokenizer/template-budget.ts';
import { FAMILY_TEMPLATES } from './family-templates.ts';

const TOKENS = { bos: '<s>', eos: '</s>' };
const HI: readonly ChatMessage[] = [{ role: 'user', content: 'hi' }];

function attempt(source: string, messages = HI): TabserveError | string {
  try {
    return createChatTemplate(source, TOKENS)(messages);
  } catch (error) {
    if (error instanceof TabserveError) return error;
    throw error;
  }
}

/** A text of 64 * 2 ** n characters, as `ns.s`. */
const text = (n: number): string =>
  `{% set ns = namespace(s='${'a'.repeat(64)}') %}{% for i in range(${n}) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}`;
const SHARED = '{% set ns = namespace(a=[1]) %}{% for i in range(40) %}{% set ns.a = [ns.a, ns.a] %}{% endfor %}';

describe('a template that would never end, or need more memory than there is', () => {
  it.each([
    ['a long range', '{% for i in range(1000000000) %}{% endfor %}'],
    ['a range that goes down', '{% for i in range(0, -1000000000, -1) %}{% endfor %}'],
    ['loops in loops', '{% for a in range(1000) %}{% for b in range(1000) %}{% for c in range(1000) %}{% endfor %}{% endfor %}{% endfor %}'],
    ['loops over what was made once', '{% set a = range(5000) %}{% for i in a %}{% for x in a if x > 10 %}{% endfor %}{% endfor %}'],
    ['a text that doubles', text(40)],
    ['a long output', `${text(10)}{% for i in range(100) %}{{ ns.s }}{% endfor %}`],
    ['recursion', '{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}'],
    ['recursion that forks', '{% macro f(n) %}{% if n > 0 %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}'],
    ['deep expressions', `{{ ${'not '.repeat(1000)} 1 }}`],
    ['a list that holds itself twice, forty times over', `${SHARED}{{ ns.a | tojson }}`],
    ['the same list as text', `${SHARED}{{ 'x' ~ ns.a }}`],
    ['the same list compared', `${SHARED}{{ ns.a == 'x' }}`],
    ['a namespace in a list', '{% set n = namespace(x=1) %}{% set ns = namespace(x=[n, n]) %}{{ ns.x }}'],
    ['a namespace in itself', '{% set ns = namespace(x=1) %}{% set ns.x = [ns] %}{{ ns.x | tojson }}'],
    ['a search that backtracks', `${text(13)}{{ (ns.s ~ 'b') in (ns.s ~ ns.s) }}`],
    ['a text put between all characters', `${text(12)}{{ ns.s | replace('', ns.s) }}`],
    ['the same by a method', `${text(12)}{{ ns.s.replace('', ns.s) }}`],
    ['the same by a method under another name', `${text(12)}{% set f = ns.s.replace %}{{ f('', ns.s) }}`],
    ['the same over a block', `${text(12)}{% filter replace('', ns.s) %}{{ ns.s }}{% endfilter %}`],
    ['a split', `${text(13)}{{ (ns.s ~ 'c').split(ns.s ~ 'b') | length }}`],
    ['a join', `${text(12)}{{ range(5000) | join(ns.s) }}`],
    ['an indent', "{{ 'a\nb' | indent(1000000000) }}"],
    ['an indent of JSON', '{{ [[1]] | tojson(indent=500000000) }}'],
    ['sorting again and again', '{% set a = range(5000) %}{% for i in a %}{% set x = a | sort %}{% endfor %}'],
    ['lists of arguments', '{% macro f() %}{{ varargs | length }}{% endmacro %}{% set a = range(5000) %}{% for i in a %}{{ f(*a) }}{% endfor %}'],
    ['macros defined again and again', `{% for i in range(5000) %}{% macro f() %}${'{{ a.b }}'.repeat(4000)}{% endmacro %}{% endfor %}`],
    ['upper case again and again', `${text(14)}{% for i in range(5000) %}{% set x = ns.s | upper %}{% endfor %}`],
    ['slices again and again', `${text(14)}{% for i in range(5000) %}{% set x = ns.s[::-1] %}{% endfor %}`],
    ['a test again and again', `${text(14)}{% for i in range(5000) %}{% if ns.s is upper %}{% endif %}{% endfor %}`],
  ])('%s is an error', (_name, source) => {
    expect(attempt(source)).toMatchObject({ code: 'unsupported_model', message: expect.stringContaining('more than tabserve allows') });
  });

  it.each([
    ['of a million characters', 'x'.repeat(1e6)],
    ['of white space', `a${' '.repeat(300)}b`],
    ['of parentheses', `{{ ${'('.repeat(30_000)}1${')'.repeat(30_000)} }}`],
    ['that is no template', '{% if %}'],
  ])('one %s is refused before it runs', (_name, source) => {
    expect(attempt(source)).toMatchObject({ code: 'unsupported_model', message: expect.stringMatching(/too long|cannot be read/) });
  });

  it('a loop may be left, and entered again, as often as the budget has steps', () => {
    const leaves = '{% for i in range(300) %}{% for j in range(9) %}{% if j > 1 %}{% break %}{% endif %}{% continue %}{% endfor %}{% endfor %}ok';
    expect(attempt(leaves)).toBe('ok');
  });
});

describe('the templates of the families', () => {
  afterEach(() => vi.restoreAllMocks());

  const chat = (turns: number, system: boolean): ChatMessage[] => {
    const messages: ChatMessage[] = system ? [{ role: 'system', content: 'Be brief.' }] : [];
    messages.push({ role: 'user', content: 'Hello' });
    for (let i = 0; i < turns; i++) {
      messages.push({ role: 'assistant', content: `<think>\nhm ${i}\n</think>\n\nFine. ${'So it goes. '.repeat(20)}` });
      messages.push({ role: 'user', content: 'And now?' });
    }
    return messages;
  };

  it.each(Object.entries(FAMILY_TEMPLATES))('%s: the same text as without a budget, far within it', (_name, source) => {
    const spent = vi.spyOn(TemplateBudget.prototype, 'spend');
    for (const messages of [chat(0, false), chat(1, false), chat(1, true), chat(200, true)]) {
      spent.mockClear();
      const reference = new Template(source).render({ messages, add_generation_prompt: true, bos_token: '<s>', eos_token: '</s>' });
      expect(attempt(source, messages)).toBe(reference);
      const steps = spent.mock.calls.reduce((sum, [cost]) => sum + cost, 0);
      expect(steps).toBeLessThan(500 + 300 * messages.length);
    }
  });

  it('dates are in English wherever the user is', () => {
    expect(attempt("{{ strftime_now('%d %b %Y, %B %H:%M%%') }}")).toMatch(
      /^\d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) 20\d\d, [A-Z][a-z]+ \d\d:\d\d%$/,
    );
  });
});
