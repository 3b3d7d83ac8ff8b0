/** Plays one run inside a test: rejections that nobody handles end the run, as they do on the command line. */
import { type RunResult, type RunWishes, run } from '../run.ts'

const breathe = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve)
  })

export async function play(wishes: Omit<RunWishes, 'breathe'>): Promise<RunResult> {
  let fail: (error: unknown) => void = () => undefined
  const onRejection = (error: unknown): void => fail(error)
  process.on('unhandledRejection', onRejection)
  try {
    return await run({
      ...wishes,
      breathe,
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
