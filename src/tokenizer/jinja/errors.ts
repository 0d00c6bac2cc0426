/** The template is faulty: it cannot be parsed, or uses something that the language does not have or allow. */
export class TemplateFault extends Error {}

/** The template refuses its input, by `raise_exception`. */
export class TemplateRefusal extends Error {}

/** The template has exceeded its budget. */
export class TemplateLimit extends Error {}
