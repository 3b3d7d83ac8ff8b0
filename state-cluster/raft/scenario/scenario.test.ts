/**
 * Runs the scenario files: ours, and those of etcd-io/raft where they lie beside the repository. Without them a test
 * title says that they were left out; with TEST_REQUIRE_SHARED=1 that is a failure.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { GrammarError } from './data-driven.ts'
import { runScenario } from './run.ts'

const ours = fileURLToPath(new URL('../testdata/scenarios', import.meta.url))
const shared = fileURLToPath(new URL('../../../../shared/raft-scenarios', import.meta.url))

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.txt'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
}

function runsAll(folder: string): void {
  for (const file of filesBelow(folder)) {
    it(relative(folder, file), () => {
      const { differences, stanzas } = runScenario(readFileSync(file, 'utf8'))
      expect(differences).toEqual([])
      expect(stanzas).toBeGreaterThan(0)
    })
  }
}

describe('scenarios of our own', () => {
  runsAll(ours)
})

describe('scenarios of etcd-io/raft', () => {
  if (existsSync(shared)) runsAll(shared)
  else if (process.env['TEST_REQUIRE_SHARED'] === '1') {
    it('are there', () => expect.fail(`${shared} is missing, and TEST_REQUIRE_SHARED=1 asks for it`))
  } else it.skip('left out: ../shared/raft-scenarios is not there', () => {})
})

describe('the scenario runner', () => {
  it('finds the kind of a file from its commands', () => {
    expect(runScenario('vote\n----\nVoteWon\n').differences).toEqual([])
    expect(runScenario('simple\nv1\n----\nvoters=(1)\n1: StateProbe match=0 next=1\n').differences).toEqual(
      [],
    )
    expect(runScenario('add-nodes 1 voters=(1) index=3\n----\nok\n').differences).toEqual([])
  })

  it('reports each stanza that differs, with its line, and prints the file with what came', () => {
    const source = '# c\nvote\n----\nVoteLost\n\nvote cfg=(1) votes=(n)\n----\nVoteLost\n'
    const { differences, text } = runScenario(source)
    expect(differences).toEqual([{ line: 2, command: 'vote', expected: 'VoteLost', actual: 'VoteWon' }])
    expect(text).toBe('# c\nvote\n----\nVoteWon\n\nvote cfg=(1) votes=(n)\n----\nVoteLost\n')
  })

  it('shows errors of commands as their output, and continues', () => {
    const source = 'bogus 1\n----\n\ncampaign 7\n----\n\nadd-nodes 1 voters=(1) index=1\n----\n'
    const [unknown, missing, index] = runScenario(source).differences
    expect(unknown?.actual).toBe('unknown command')
    expect(missing?.actual).toBe('there is no node 7')
    expect(index?.actual).toBe('index must be specified as > 1 due to bootstrap')
  })

  it('refuses a file that cannot be understood', () => {
    expect(() => runScenario('')).toThrow('no stanza')
    expect(() => runScenario('add-nodes 1\n')).toThrow(GrammarError)
    expect(() => runScenario('add-nodes many\n----\n')).toThrow('must be a number')
    expect(() => runScenario('add-nodes 1 voters=(1) index=3 typo=1\n----\n')).toThrow('has no typo=')
    expect(() => runScenario('vote cfg=(1) votes=(x)\n----\n')).toThrow('unknown vote')
  })

  it('shows a broken rule as a panic, with its facts', () => {
    const source = 'add-nodes 1 voters=(1) index=3 read-only=lease-based\n----\n'
    expect(runScenario(source).differences[0]?.actual).toBe('panic: reads on a lease need checkQuorum')
  })
})
