/**
 * Starts what a process runs, in order, and stops it in the reverse order.
 * Each step has a deadline.
 * Each start returns its service, so that the next one can use it and nothing is shared through variables.
 * Invariant: when a start fails, everything that had started is stopped before the error is passed on. A service
 * that does not stop in time is reported and left, so that stopping always ends.
 * Source: docs/spec.md SERVICE1 to SERVICE5.
 */
import type { Clock } from './clock.ts'
import type { Logger } from './logger.ts'

export interface Service<Value> {
  readonly name: string
  readonly startDeadlineMs: number
  readonly stopDeadlineMs: number
  start(): Promise<Value>
  stop(value: Value): Promise<unknown>
}

/** Starts one service and resolves with it. Rejects with the service's own error, or with `DeadlineError`. */
export type StartService = <Value>(service: Service<Value>) => Promise<Value>

export class DeadlineError extends Error {
  readonly code = 'deadline'
  readonly retryable = false
  constructor(what: string, deadlineMs: number) {
    super(`${what} took longer than ${deadlineMs} ms`)
    this.name = 'DeadlineError'
  }
}

export interface RunningServices<Started> {
  readonly started: Started
  /** Stops all, last started first. Resolves with the faults of those that did not stop; never rejects. Once only. */
  stop(): Promise<readonly Error[]>
}

interface Context {
  readonly clock: Clock
  readonly logger: Logger
}

interface Stop {
  readonly name: string
  readonly deadlineMs: number
  readonly run: () => Promise<unknown>
}

/**
 * Runs `boot`, which starts services one after the other, and keeps how to stop them. Resolves with what `boot`
 * returns. When `boot` rejects, all that it had started is stopped, and this rejects with the same error.
 */
export async function startServices<Started>(
  context: Context,
  boot: (start: StartService) => Promise<Started>,
): Promise<RunningServices<Started>> {
  const stops: Stop[] = []
  try {
    const started = await boot(async (service) => {
      const value = await startOne(service, context)
      const run = () => service.stop(value)
      stops.push({ name: service.name, deadlineMs: service.stopDeadlineMs, run })
      return value
    })
    let stopping: Promise<readonly Error[]> | undefined
    return {
      started,
      stop() {
        stopping ??= stopAll(stops, context)
        return stopping
      },
    }
  } catch (error) {
    await stopAll(stops, context)
    throw error
  }
}

async function startOne<Value>(service: Service<Value>, { clock, logger }: Context): Promise<Value> {
  const { name, startDeadlineMs: deadlineMs } = service
  const sinceMs = clock.monotonicMs()
  const starting = service.start()
  const value = await withDeadline({ work: starting, deadlineMs, what: `starting ${name}`, clock }).catch(
    (error: unknown) => {
      // A start that ends after its deadline has no user any more.
      if (error instanceof DeadlineError)
        void starting.then((late) => service.stop(late)).catch(() => undefined)
      throw error
    },
  )
  logger.info('service_started', { service: name, tookMs: Math.round(clock.monotonicMs() - sinceMs) })
  return value
}

async function stopAll(stops: Stop[], { clock, logger }: Context): Promise<readonly Error[]> {
  const faults: Error[] = []
  for (const { name, deadlineMs, run } of stops.splice(0).reverse()) {
    try {
      await withDeadline({ work: run(), deadlineMs, what: `stopping ${name}`, clock })
    } catch (error) {
      const fault = error instanceof Error ? error : new Error(String(error), { cause: error })
      faults.push(fault)
      logger.error('service_stop_failed', { service: name, error: fault })
    }
  }
  return faults
}

/** The work's own outcome, or `DeadlineError` when its time is over first; the work itself is not stopped. */
export async function withDeadline<Value>(step: {
  readonly work: Promise<Value>
  readonly deadlineMs: number
  /** Names the work in the error. */
  readonly what: string
  readonly clock: Clock
}): Promise<Value> {
  const { work, deadlineMs, what, clock } = step
  return await new Promise<Value>((resolve, reject) => {
    const cancel = clock.setTimer(deadlineMs, () => reject(new DeadlineError(what, deadlineMs)))
    work.then(resolve, reject).finally(cancel)
  })
}
