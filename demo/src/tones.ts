import type { RequestSnapshot } from '../../src/index.ts';

/** Hues for other tabs; this tab has one of its own. */
const HUES = 6;
/** Shades of a hue, for several requests of one tab. */
const SHADES = 3;

/** A request's colour, as the style sheet names it: `own` or a hue, and a shade of it. */
export interface Tone {
  readonly hue: string;
  readonly shade: number;
}

/** Gives requests their colours: a hue a tab, a shade a request, each kept for as long as the request is there. */
export class Tones {
  readonly #places = new Map<string, { readonly session: number; readonly place: number }>();

  assign(requests: readonly RequestSnapshot[]): ReadonlyMap<string, Tone> {
    const live = new Set(requests.map(({ id }) => id));
    for (const id of this.#places.keys()) if (!live.has(id)) this.#places.delete(id);
    return new Map(requests.map((request) => [request.id, this.#tone(request)]));
  }

  #tone({ id, session, isOwn }: RequestSnapshot): Tone {
    const known = this.#places.get(id);
    const { place } = known?.session === session ? known : { place: this.#freePlace(session) };
    this.#places.set(id, { session, place });
    return { hue: isOwn ? 'own' : String((session + HUES - 1) % HUES), shade: place % SHADES };
  }

  #freePlace(session: number): number {
    const taken = new Set([...this.#places.values()].filter((each) => each.session === session).map(({ place }) => place));
    let place = 0;
    while (taken.has(place)) place++;
    return place;
  }
}

/** Whose a request is, in words that may stand within a sentence. */
export function ownerOf({ session, isOwn }: Pick<RequestSnapshot, 'session' | 'isOwn'>): string {
  if (isOwn) return 'this tab';
  return session === 0 ? 'a closed tab' : `Tab ${session}`;
}
