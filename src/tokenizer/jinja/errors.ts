/** A template is at fault: it cannot be read, or asks for something that the language does not have or allow. */
export class TemplateFault extends Error {}

/** A template refuses what it is given, by `raise_exception`. */
export class TemplateRefusal extends Error {}

/** A template has had its share of work. */
export class TemplateLimit extends Error {}
