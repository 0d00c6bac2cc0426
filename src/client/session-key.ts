/** Under this key a client gives its session to `tabserve/testing`, which may be another copy of the package. */
export const SESSION = Symbol.for('tabserve.session');
