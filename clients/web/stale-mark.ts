/**
 * When to mark what a page shows as not current.
 * A view that catches up within a moment is not marked, so that nothing flickers. Invariant: a mark goes
 * as soon as the view is current; after `leave` nothing is called. Whether a view is current the session says. Source: spec
 * CLIENT21.
 */

/** A shorter time without news is not shown. */
export const staleAfterMs = 400

export interface StaleMark {
  setCurrent(isCurrent: boolean): void
  leave(): void
}

export function staleMark(marks: { readonly stale: () => void; readonly current: () => void }): StaleMark {
  let timer: number | undefined
  let isMarked = false
  const stop = (): void => {
    window.clearTimeout(timer)
    timer = undefined
  }
  return {
    setCurrent(isCurrent) {
      if (isCurrent) {
        stop()
        if (isMarked) marks.current()
        isMarked = false
        return
      }
      timer ??= window.setTimeout(() => {
        isMarked = true
        marks.stale()
      }, staleAfterMs)
    },
    leave: stop,
  }
}
