import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PendingCommands } from './pending-commands.ts'

const limits = { commandsMax: 20, commandBytesMax: 100 }

/** What became of a command; `undefined` while it waits. */
type Fate = { answer?: number | string }

function add(pending: PendingCommands<string, number>, bytes: number, untilTick = 10): Fate {
  const fate: Fate = {}
  pending.add('command', bytes, untilTick).then(
    (reply) => {
      fate.answer = reply
    },
    ({ code }: { code: string }) => {
      fate.answer = code
    },
  )
  return fate
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('pending commands', () => {
  it('STORE11: commands in flight count in bytes until they are answered', async () => {
    const pending = new PendingCommands<string, number>(limits)
    const first = add(pending, 60)
    pending.proposed(1, 5, 1)
    const second = add(pending, 40)
    const third = add(pending, 1)
    await settled()
    expect([first.answer, second.answer, third.answer]).toEqual([undefined, undefined, 'overloaded'])
    pending.applied(5, 1, [7])
    const fourth = add(pending, 61)
    const fifth = add(pending, 60)
    await settled()
    expect([first.answer, second.answer, fourth.answer, fifth.answer]).toEqual([
      7,
      undefined,
      'overloaded',
      undefined,
    ])
  })

  it('STORE11: however a command ends, its bytes are free again', async () => {
    const step = fc.oneof(
      fc.record({
        kind: fc.constant('add' as const),
        bytes: fc.nat(120),
        patience: fc.integer({ min: 1, max: 5 }),
      }),
      fc.record({ kind: fc.constantFrom('propose', 'apply', 'tick', 'drop', 'skip', 'term') }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const pending = new PendingCommands<string, number>(limits)
        const waiting: { fate: Fate; bytes: number }[] = []
        let tick = 0
        let index = 1
        let applied = 1
        let term = 1
        for (const one of steps) {
          if (one.kind === 'add') {
            const left = waiting.filter(({ fate }) => fate.answer === undefined)
            const bytes = left.reduce((sum, { bytes }) => sum + bytes, 0)
            const fits = left.length < limits.commandsMax && bytes + one.bytes <= limits.commandBytesMax
            const fate = add(pending, one.bytes, tick + one.patience)
            waiting.push({ fate, bytes: one.bytes })
            await settled()
            expect(fate.answer, `${bytes} bytes wait, ${one.bytes} come`).toBe(
              fits ? undefined : 'overloaded',
            )
          } else if (one.kind === 'propose') {
            if (pending.queuedCommands > 0)
              pending.proposed(Math.min(2, pending.queuedCommands), ++index, term)
          } else if (one.kind === 'apply') {
            if (applied < index) pending.applied(++applied, term, [1, 2])
          } else if (one.kind === 'tick') pending.expire(++tick)
          else if (one.kind === 'drop') pending.dropQueued('it leads no more')
          else if (one.kind === 'term') term += 1
          else {
            applied = index
            pending.skipTo(index, term)
          }
          await settled()
        }
        pending.end({ code: 'stopped' } as never)
        await settled()
        expect(waiting.filter(({ fate }) => fate.answer === undefined)).toEqual([])
        const last = add(pending, limits.commandBytesMax)
        await settled()
        expect(last.answer).toBeUndefined()
      }),
      { numRuns: 200 },
    )
  })
})
