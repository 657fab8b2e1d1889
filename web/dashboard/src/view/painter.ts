/**
 * When things are drawn: in animation frames, a few times a second at most, and while the page is seen. What is out of sight
 * renews its text, which can be read without being seen, and its picture when it comes into sight.
 */

export interface Drawable {
  readonly element: Element;
  /** Draws; where it is not seen, all but the picture. */
  readonly draw: (seen: boolean) => void;
  /** What shows several queries, each of which comes at its own time, waits so long for the others, milliseconds. */
  readonly patience?: number;
}

/** Between two frames: each costs more than what is drawn in it, and queries come at times of their own. */
const PAUSE_MS = 400;
/** The same while the page opens, when all of them come together. */
const OPENING_PAUSE_MS = 100;
const OPENING_MS = 3_000;

export class Painter {
  readonly #due = new Set<Drawable>();
  readonly #resting = new Set<Drawable>();
  readonly #seen = new Set<Drawable>();
  /** Those whose picture is older than their text. */
  readonly #owed = new Set<Drawable>();
  readonly #byElement = new Map<Element, Drawable>();
  readonly #observer: IntersectionObserver;
  #waiting = false;
  #drawnAt = Number.NEGATIVE_INFINITY;

  constructor() {
    this.#observer = new IntersectionObserver((entries) => this.#looked(entries), { rootMargin: "100px" });
    document.addEventListener("visibilitychange", () => this.#wake());
  }

  add(drawable: Drawable): void {
    this.#byElement.set(drawable.element, drawable);
    this.#observer.observe(drawable.element);
    this.#due.add(drawable);
    this.#wake();
  }

  remove(drawable: Drawable): void {
    this.#observer.unobserve(drawable.element);
    this.#byElement.delete(drawable.element);
    this.#due.delete(drawable);
    this.#seen.delete(drawable);
    this.#owed.delete(drawable);
  }

  /** Something that it shows has changed. */
  mark(drawable: Drawable): void {
    if (!this.#byElement.has(drawable.element) || this.#resting.has(drawable)) return;
    if (drawable.patience === undefined) this.#due.add(drawable);
    else this.#rest(drawable, drawable.patience);
    this.#wake();
  }

  markAll(): void {
    for (const drawable of this.#byElement.values()) this.#due.add(drawable);
    this.#wake();
  }

  #rest(drawable: Drawable, ms: number): void {
    this.#resting.add(drawable);
    setTimeout(() => {
      this.#resting.delete(drawable);
      if (this.#byElement.has(drawable.element)) this.#due.add(drawable);
      this.#wake();
    }, ms);
  }

  #looked(entries: readonly IntersectionObserverEntry[]): void {
    for (const { target, isIntersecting } of entries) {
      const drawable = this.#byElement.get(target);
      if (drawable === undefined) continue;
      if (isIntersecting) this.#seen.add(drawable);
      else this.#seen.delete(drawable);
      if (isIntersecting && this.#owed.has(drawable)) this.#due.add(drawable);
    }
    this.#wake();
  }

  #wake(): void {
    if (this.#waiting || document.hidden || this.#due.size === 0) return;
    this.#waiting = true;
    const now = performance.now();
    const wait = this.#drawnAt + (now < OPENING_MS ? OPENING_PAUSE_MS : PAUSE_MS) - now;
    if (wait > 0) setTimeout(() => requestAnimationFrame(() => this.#draw()), wait);
    else requestAnimationFrame(() => this.#draw());
  }

  #draw(): void {
    this.#waiting = false;
    this.#drawnAt = performance.now();
    for (const drawable of [...this.#due]) {
      const seen = this.#seen.has(drawable);
      this.#due.delete(drawable);
      if (seen) this.#owed.delete(drawable);
      else this.#owed.add(drawable);
      drawable.draw(seen);
    }
  }
}
