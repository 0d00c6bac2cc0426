// @ts-check

/** The ceilings are measured, too: a figure may be this much above them before it is not believed. */
const TOLERANCE = 0.1;

/** Whether a share of a ceiling cannot be.
 * @param {number | undefined} roofline */
export function isAboveCeiling(roofline) {
  return roofline !== undefined && roofline > 1 + TOLERANCE;
}
