/** Time that stands until a test moves it. */

interface Timer {
  readonly at: number;
  readonly action: () => void;
}

export class Time {
  #now = 1_764_000_000_000;
  readonly #timers = new Set<Timer>();

  readonly now = (): number => this.#now;

  readonly setTimer = (action: () => void, ms: number): unknown => {
    const timer = { at: this.#now + ms, action };
    this.#timers.add(timer);
    return timer;
  };

  readonly clearTimer = (timer: unknown): void => {
    this.#timers.delete(timer as Timer);
  };

  /** How long until each timer, the soonest first. */
  get waits(): number[] {
    return [...this.#timers].map((timer) => timer.at - this.#now).sort((one, other) => one - other);
  }

  /** Moves on, running what falls due. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const [due] = [...this.#timers].filter((timer) => timer.at <= end).sort((one, other) => one.at - other.at);
      if (due === undefined) break;
      this.#timers.delete(due);
      this.#now = due.at;
      due.action();
    }
    this.#now = end;
  }
}

/** Waits until something holds; the test's own limit ends it where it never does. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 1));
}
