/** The release; empty where it is run from source without a bundler. */
export const BUILD = typeof __TABSERVE_BUILD_ID__ === 'undefined' ? '' : __TABSERVE_BUILD_ID__;
