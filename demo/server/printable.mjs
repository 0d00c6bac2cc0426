// @ts-check

/**
 * Text of a server, of pip or of a file as a terminal may print it: control characters, which could move its cursor, rename
 * its window or hide a line, become `\x1b` and the like.
 *
 * @param {string} text
 */
export function printable(text) {
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, (char) => {
    const code = char.charCodeAt(0).toString(16);
    return code.length > 2 ? `\\u${code}` : `\\x${code.padStart(2, '0')}`;
  });
}
