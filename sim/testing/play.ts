/**
 * Plays one run inside a test.
 *
 * Invariant: a rejection that no code handles ends the run, as it does on the command line.
 */
import { type RunRequest, type RunResult, run } from '../run.ts'

const settlePromises = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve)
  })

export async function play(request: Omit<RunRequest, 'settlePromises'>): Promise<RunResult> {
  let fail: (error: unknown) => void = () => undefined
  const onRejection = (error: unknown): void => fail(error)
  process.on('unhandledRejection', onRejection)
  try {
    return await run({
      ...request,
      settlePromises,
      onFail: (given) => {
        fail = given
      },
    })
  } finally {
    process.off('unhandledRejection', onRejection)
  }
}

/** The command that repeats it. */
export const again = ({ seed, minutes }: { seed: number; minutes: number }): string =>
  `npm run --silent sim -- --seed ${seed} --minutes ${minutes}`
