/**
 * What a process runs, started in order and stopped in the reverse order, each step within its deadline.
 * Invariant: when a start fails, everything that had started is stopped again before the error is passed on; a
 * service that does not stop in time is left behind and named, so that stopping always ends.
 */
import type { Clock } from './clock.ts'
import type { Logger } from './logger.ts'

export interface Service {
  readonly name: string
  readonly startDeadlineMs: number
  readonly stopDeadlineMs: number
  start(): Promise<void>
  stop(): Promise<void>
}

export class DeadlineError extends Error {
  readonly code = 'deadline'
  readonly retryable = false
  constructor(what: string, deadlineMs: number) {
    super(`${what} took longer than ${deadlineMs} ms`)
    this.name = 'DeadlineError'
  }
}

export interface RunningServices {
  /** Stops all, last started first. Resolves with the faults of those that would not; never rejects. Once only. */
  stop(): Promise<readonly Error[]>
}

/** Starts services one after the other. Rejects with the first start that failed, the others stopped. */
export async function startServices(
  services: readonly Service[],
  context: { readonly clock: Clock; readonly logger: Logger },
): Promise<RunningServices> {
  const started: Service[] = []
  const stopAll = async (): Promise<readonly Error[]> => {
    const faults: Error[] = []
    for (const service of started.splice(0).reverse()) {
      const fault = await faultOf(
        withDeadline(service.stop(), service.stopDeadlineMs, `stopping ${service.name}`, context.clock),
      )
      if (fault === undefined) continue
      faults.push(fault)
      context.logger.error('service_stop_failed', { service: service.name, error: fault })
    }
    return faults
  }
  for (const service of services) {
    const sinceMs = context.clock.monotonicMs()
    started.push(service)
    const fault = await faultOf(
      withDeadline(service.start(), service.startDeadlineMs, `starting ${service.name}`, context.clock),
    )
    if (fault !== undefined) {
      await stopAll()
      throw fault
    }
    const tookMs = Math.round(context.clock.monotonicMs() - sinceMs)
    context.logger.info('service_started', { service: service.name, tookMs })
  }
  let stopping: Promise<readonly Error[]> | undefined
  return {
    stop() {
      stopping ??= stopAll()
      return stopping
    },
  }
}

/** The work's own outcome, or `DeadlineError` when the clock gets there first (the work goes on, unheard). */
export async function withDeadline<Value>(
  work: Promise<Value>,
  deadlineMs: number,
  what: string,
  clock: Clock,
): Promise<Value> {
  return await new Promise<Value>((resolve, reject) => {
    const cancel = clock.setTimer(deadlineMs, () => reject(new DeadlineError(what, deadlineMs)))
    work.then(resolve, reject).finally(cancel)
  })
}

async function faultOf(work: Promise<unknown>): Promise<Error | undefined> {
  try {
    await work
    return undefined
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error), { cause: error })
  }
}
