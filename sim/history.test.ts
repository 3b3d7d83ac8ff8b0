import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { plantNamed } from './planted.ts'
import { judge } from './testing/outside-checker.ts'
import { again, play } from './testing/play.ts'

type Line = Record<string, unknown> & { type: string }

const linesOf = (file: string): string[] => readFileSync(file, 'utf8').split('\n')

describe('the history of a run', () => {
  const folder = mkdtempSync(join(tmpdir(), 'martillo-history-'))
  const file = join(folder, 'history.jsonl')
  let lines: Line[] = []

  const write = async (seed: number, plantName?: string): Promise<string | undefined> => {
    const written: string[] = []
    const plant = plantName === undefined ? undefined : plantNamed(plantName)
    const result = await play({ seed, minutes: 1, plant, writeHistory: (line) => written.push(line) })
    writeFileSync(file, written.join('\n'))
    return result.violation === null ? undefined : `${again(result)}: ${result.violation.facts}`
  }

  /** What the checker finds in the history after a change. */
  const judgeChanged = (change: (copy: Line[]) => void): readonly string[] => {
    const copy = structuredClone(lines)
    change(copy)
    return judge(copy.map((line) => JSON.stringify(line)))
  }

  /** The entry and the position in it of an accepted bid whose bidder has the answer. */
  const someBid = (copy: Line[], skip = 5): { entry: Line; at: number; op: unknown } => {
    const accepted = copy.filter(
      ({ type, reply }) => type === 'response' && (reply as Line)['ok'] && (reply as Line).type === 'bid',
    )
    const { op } = accepted[skip] as Line
    const invoke = copy.find((line) => line.type === 'invoke' && line['op'] === op) as Line
    const { requestId } = invoke['command'] as Line
    for (const entry of copy) {
      if (entry.type !== 'entry') continue
      const at = (entry['commands'] as Line[]).findIndex((command) => command['requestId'] === requestId)
      if (at >= 0) return { entry, at, op }
    }
    throw new Error(`the bid of operation ${op} is nowhere`)
  }

  beforeAll(async () => {
    expect(await write(11)).toBeUndefined()
    lines = linesOf(file).map((line) => JSON.parse(line) as Line)
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  it('SIM4: a checker that knows only the file finds it linearizable, and all it needs is in the file', () => {
    expect(judge(linesOf(file))).toEqual([])
    const count = (type: string): number => lines.filter((line) => line.type === type).length
    for (const type of ['invoke', 'response', 'unknown', 'read', 'entry'])
      expect(count(type), type).toBeGreaterThan(0)
    const tried = lines.filter((line) => line.type === 'invoke' && line['attempt'] !== 1)
    expect(tried.length).toBeGreaterThan(0)
  })

  it('SIM4: every operation ends in the file as docs/sim.md says', () => {
    const open = new Map<string, string>()
    for (const { type, op, attempt } of lines) {
      const name = `${op} ${attempt}`
      if (type === 'invoke') open.set(name, type)
      else if (type === 'response' || type === 'refused' || type === 'unknown') {
        expect(open.has(name), name).toBe(true)
        open.set(name, type)
      }
    }
    expect([...open.values()].filter((last) => last === 'invoke')).toEqual([])
  })

  it('SIM4: a bid that is missing from the log is found', () => {
    const found = judgeChanged((copy) => {
      const { entry: first, at: place } = someBid(copy)
      const { requestId } = (first['commands'] as Line[])[place] as Line
      // A retry may have brought it into the log once more.
      for (const entry of copy.filter(({ type }) => type === 'entry')) {
        const places = (entry['commands'] as Line[]).flatMap((command, at) =>
          command['requestId'] === requestId ? [at] : [],
        )
        const isKept = (_: unknown, at: number): boolean => !places.includes(at)
        for (const list of ['commands', 'replies']) entry[list] = (entry[list] as unknown[]).filter(isKept)
      }
    })
    expect(found.join()).toMatch(/was answered and is not in the log/)
  })

  it('SIM4: a bid that has no effect, or two, is found', () => {
    const eventOf = ({ entry, at }: { entry: Line; at: number }): [Line[], number] => {
      const { requestId } = (entry['commands'] as Line[])[at] as Line
      const events = entry['events'] as Line[]
      const place = events.findIndex(
        ({ secret }) => (secret as Line | undefined)?.['requestId'] === requestId,
      )
      return [events, place]
    }
    const lost = judgeChanged((copy) => {
      const [events, place] = eventOf(someBid(copy))
      events.splice(place, 1)
    })
    expect(lost.join()).toMatch(/was accepted and is no event/)
    const doubled = judgeChanged((copy) => {
      const [events, place] = eventOf(someBid(copy))
      const event = events[place] as Line
      events.splice(place, 0, { ...event, seq: (event['seq'] as number) + 1 })
    })
    expect(doubled.join()).toMatch(/counts twice/)
  })

  it('SIM4: a wrong answer, a stale read and an order against real time are found', () => {
    const changed = judgeChanged((copy) => {
      const { op } = someBid(copy)
      const response = copy.find((line) => line.type === 'response' && line['op'] === op) as Line
      response['reply'] = { ...(response['reply'] as Line), price: 1 }
    })
    expect(changed.join()).toMatch(/was answered .* not /)
    const stale = judgeChanged((copy) => {
      const reads = copy.filter((line) => line.type === 'read' && (line['seq'] as number) > 3)
      const last = reads.at(-1) as Line
      last['seq'] = (last['seq'] as number) - 1
    })
    expect(stale.join()).toMatch(/a read of/)
    const turned = judgeChanged((copy) => {
      const { op } = someBid(copy, 0)
      const { op: later } = someBid(copy, 60)
      for (const line of copy) {
        if (line.type === 'invoke' && line['op'] === op) line['atMs'] = 1e9
        if (line.type === 'response' && line['op'] === later) line['atMs'] = 1e8
      }
    })
    expect(turned.join()).toMatch(/is in the log before one that was answered before it was requested/)
  })

  it('SIM4: the file of a run with a planted fault shows the fault', async () => {
    let found: readonly string[] = []
    for (let seed = 1; seed <= 10 && found.length === 0; seed++) {
      await write(seed, 'retry-counted-twice')
      found = judge(linesOf(file))
    }
    expect(found.length).toBeGreaterThan(0)
  })
})
