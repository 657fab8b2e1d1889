/** Whether anybody looks at the page. */

export interface Visibility {
  readonly hidden: () => boolean;
  /** Calls back at each change, until the returned function is called. */
  readonly watch: (changed: () => void) => () => void;
}

/** Where there is no page. */
export const ALWAYS_VISIBLE: Visibility = { hidden: () => false, watch: () => () => {} };

/** Of a page. */
export function ofDocument(page: Document): Visibility {
  return {
    hidden: () => page.visibilityState === "hidden",
    watch: (changed) => {
      page.addEventListener("visibilitychange", changed);
      return () => page.removeEventListener("visibilitychange", changed);
    },
  };
}
