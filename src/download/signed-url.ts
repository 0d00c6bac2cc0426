/** The signature of a signed URL. */
export interface UrlSignature {
  /** Its expiry, in milliseconds since 1970; undefined where the URL does not state it. */
  readonly expires: number | undefined;
}

/** The largest date (ECMA-262, Time Values and Time Range). */
const MAX_TIME = 8.64e15;

/** A scheme of signing URLs. Names of parameters are in lower case. */
interface Scheme {
  /** The parameters that identify the scheme, all together, because several services share single names. */
  readonly marks: readonly string[];
  /** One of these is required as well, if there are any. */
  readonly oneOf?: readonly string[];
  /** Whether a parameter is part of the signature. */
  readonly owns: RegExp;
  readonly expires: (value: (parameter: string) => string) => number;
}

const expiresAt: Scheme['expires'] = (value) => Number(value('expires') || Number.NaN) * 1000;

const SCHEMES: readonly Scheme[] = [
  // Amazon S3, Cloudflare R2 and others that speak S3's language. `x-id` names the SDK's operation.
  { marks: ['x-amz-signature'], owns: /^(x-amz-.*|x-id)$/, expires: (value) => span(value('x-amz-date'), value('x-amz-expires')) },
  // Google Cloud Storage
  { marks: ['x-goog-signature'], owns: /^x-goog-/, expires: (value) => span(value('x-goog-date'), value('x-goog-expires')) },
  // Both, in their older form
  { marks: ['awsaccesskeyid', 'signature', 'expires'], owns: /^(awsaccesskeyid|signature|expires|x-amz-security-token)$/, expires: expiresAt },
  { marks: ['googleaccessid', 'signature', 'expires'], owns: /^(googleaccessid|signature|expires)$/, expires: expiresAt },
  // Amazon CloudFront
  { marks: ['key-pair-id', 'signature'], oneOf: ['expires', 'policy'], owns: /^(key-pair-id|signature|expires|policy)$/, expires: expiresAt },
  // Azure Storage: a shared access signature, by its own dates or a stored policy's
  {
    marks: ['sig', 'sv'],
    oneOf: ['se', 'si'],
    owns: /^(sig|sv|se|si|st|sp|sr|ss|srt|sip|spr|ses|sdd|scid|skoid|sktid|skt|ske|sks|skv|saoid|suoid)$/,
    expires: (value) => Date.parse(value('se')),
  },
];

/** The signature of a URL, if it is of a known kind: S3, R2, GCS, CloudFront or Azure. */
export function signatureOf(url: string): UrlSignature | undefined {
  const pairs = queryPairs(url);
  const value = (parameter: string): string => pairs.find(({ key }) => key === parameter)?.value ?? '';
  const found = schemesOf(pairs).map((scheme) => scheme.expires(value));
  if (found.length === 0) return undefined;
  const times = found.filter((time) => Math.abs(time) <= MAX_TIME);
  return { expires: times.length === 0 ? undefined : Math.min(...times) };
}

/** A URL without the parameters of its signature, and otherwise unchanged. */
export function withoutSignature(url: string): string {
  const pairs = queryPairs(url);
  const schemes = schemesOf(pairs);
  if (schemes.length === 0) return url;
  const { before, after } = splitQuery(url);
  const kept = pairs.filter(({ key }) => !schemes.some(({ owns }) => owns.test(key))).map(({ text }) => text);
  return before + (kept.length === 0 ? '' : `?${kept.join('&')}`) + after;
}

/** One parameter of a query. */
export interface QueryPair {
  /** As it is written in the URL. */
  readonly text: string;
  /** Its name, decoded, in lower case. */
  readonly key: string;
  /** Decoded. */
  readonly value: string;
}

export function queryPairs(url: string): readonly QueryPair[] {
  const { query } = splitQuery(url);
  return query === '' ? [] : query.split('&').map((text) => {
    const [[key, value] = ['', '']] = new URLSearchParams(text);
    return { text, key: key.toLowerCase(), value };
  });
}

/** The part of a URL before its query, the query without its `?`, and the fragment with its `#`. */
export function splitQuery(url: string): { readonly before: string; readonly query: string; readonly after: string } {
  const [, before = url, query = '', after = ''] = /^([^?#]*)(?:\?([^#]*))?(#.*)?$/s.exec(url) ?? [];
  return { before, query, after };
}

function schemesOf(pairs: readonly QueryPair[]): readonly Scheme[] {
  const keys = new Set(pairs.map(({ key }) => key));
  return SCHEMES.filter(({ marks, oneOf }) => {
    return marks.every((mark) => keys.has(mark)) && (oneOf === undefined || oneOf.some((mark) => keys.has(mark)));
  });
}

/** The end of a span of seconds from a date such as 20260101T000000Z. */
function span(date: string, seconds: string): number {
  const iso = date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z');
  return Date.parse(iso) + Number(seconds || Number.NaN) * 1000;
}
