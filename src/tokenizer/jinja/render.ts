import { type TemplateBudget } from './budget.ts';
import { templateGlobals } from './globals.ts';
import { Interpreter } from './interpreter.ts';
import { Scope } from './scope.ts';
import { type Block } from './syntax.ts';
import { toValue } from './values.ts';

/** What a rendering depends on beside the template. */
export interface RenderContext {
  /** The template's variables by name, as plain data: `messages`, `add_generation_prompt`, `tools` and others. */
  readonly variables: Readonly<Record<string, unknown>>;
  readonly budget: TemplateBudget;
  /** What `strftime_now` tells, in the local time zone. */
  readonly now: Date;
}

/**
 * A template's text: what Jinja2 makes of it, set up as in transformers' apply_chat_template.
 *
 * @param program of `parseTemplate`
 * @throws TemplateRefusal where the template refuses its variables, TemplateFault where it is at fault, TemplateLimit where
 * the budget is spent, RangeError where JavaScript's own limits are met
 */
export function renderTemplate(program: Block, { variables, budget, now }: RenderContext): string {
  const globals = new Scope();
  for (const callable of templateGlobals(budget, now)) globals.set(callable.name, callable);
  const scope = new Scope(globals);
  for (const [name, value] of Object.entries(variables)) {
    if (value !== undefined) scope.set(name, toValue(value, budget));
  }
  return new Interpreter(budget).run(program, scope);
}
