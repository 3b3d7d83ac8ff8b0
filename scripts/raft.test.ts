/** The command lines of the Raft core: what they print last, and their exit codes. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const scripts = fileURLToPath(new URL('.', import.meta.url))
let folder = ''

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'martillo-raft-'))
  mkdirSync(join(folder, 'good', 'deep'), { recursive: true })
  mkdirSync(join(folder, 'bad'))
  writeFileSync(join(folder, 'good', 'deep', 'vote.txt'), 'vote cfg=(1) votes=(y)\n----\nVoteWon\n')
  writeFileSync(join(folder, 'bad', 'vote.txt'), 'vote cfg=(1) votes=(y)\n----\nVoteLost\n')
  writeFileSync(join(folder, 'bad', 'broken.txt'), 'vote\n')
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

function run(
  script: string,
  ...args: readonly string[]
): { status: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', 'tsx', join(scripts, script), ...args],
    { encoding: 'utf8' },
  )
  return { status, out: stdout, err: stderr }
}

describe('raft:scenario', () => {
  it('prints a file again with our outputs, and fails when they differ', () => {
    expect(run('raft-scenario.ts', join(folder, 'good', 'deep', 'vote.txt'))).toMatchObject({
      status: 0,
      out: 'vote cfg=(1) votes=(y)\n----\nVoteWon\n',
    })
    expect(run('raft-scenario.ts', join(folder, 'bad', 'vote.txt'))).toMatchObject({
      status: 1,
      out: 'vote cfg=(1) votes=(y)\n----\nVoteWon\n',
    })
  })

  it('runs a folder with all below it, a line a file, and counts', () => {
    const good = run('raft-scenario.ts', '--folder', join(folder, 'good'))
    expect(good).toMatchObject({ status: 0, out: `ok   ${join('deep', 'vote.txt')}\n1 passed, 0 failed\n` })
    const all = run('raft-scenario.ts', '--folder', folder)
    expect(all.status).toBe(1)
    expect(all.out.trimEnd().split('\n').at(-1)).toBe('1 passed, 2 failed')
  })

  it('answers wrong usage with 2 and the help', () => {
    for (const args of [[], [folder], ['--folder', join(folder, 'none')], ['--nonsense']]) {
      const { status, err } = run('raft-scenario.ts', ...args)
      expect(status).toBe(2)
      expect(err).toContain('Usage:')
    }
    expect(run('raft-scenario.ts', join(folder, 'bad', 'broken.txt')).status).toBe(2)
    expect(run('raft-scenario.ts', '--help')).toMatchObject({ status: 0 })
  })
})

describe('raft:fuzz', () => {
  it('prints the seed first and what it did, as JSON lines too', () => {
    const { status, out } = run('raft-fuzz.ts', '--seed', '4', '--steps', '300', '--json')
    const records = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(status).toBe(0)
    expect(records[0]).toEqual({ event: 'start', seed: 4, steps: 300, fault: 'none' })
    expect(records.at(-1)).toMatchObject({ event: 'end', violation: null })
    expect(run('raft-fuzz.ts', '--seed', '4', '--steps', '300').out).toContain(
      `trace hash ${records.at(-1)?.['traceHash']}`,
    )
  })

  it('exits with 1 on a violation and says how to see it again', () => {
    const { status, out } = run('raft-fuzz.ts', '--steps', '200000', '--fault', 'append-without-check')
    expect(status).toBe(1)
    expect(out).toContain('seed 1, steps 200000, fault append-without-check')
    expect(out).toMatch(/VIOLATION at step \d+: /)
    expect(out).toContain('raft:fuzz -- --seed 1 --steps 200000 --fault append-without-check')
  })

  it('names its faults, and refuses others', () => {
    expect(run('raft-fuzz.ts', '--fault', 'list').out.trimEnd().split('\n')).toHaveLength(5)
    expect(run('raft-fuzz.ts', '--fault', 'none-such').status).toBe(2)
    expect(run('raft-fuzz.ts', '--seed', 'x').status).toBe(2)
  })
})
