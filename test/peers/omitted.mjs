// @ts-check

/** Why an engine is not measured here: a fact about the engine, the browser or the machine, and no failure. */
export class Omitted extends Error {}
