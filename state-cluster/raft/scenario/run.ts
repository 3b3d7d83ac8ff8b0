/**
 * Runs one scenario file and says where its outputs differ from what the file expects.
 *
 * Invariant: which runner a file needs follows from its commands alone; the name of its folder means nothing.
 */
import { confChangeRunner } from './confchange-runner.ts'
import { comparable, parse, render, type Stanza } from './data-driven.ts'
import { interactionRunner } from './interaction.ts'
import { quorumRunner } from './quorum-runner.ts'

/** A stanza whose output is not the expected one. */
export interface Difference {
  /** Line of the directive, counted from 1. */
  readonly line: number
  readonly command: string
  readonly expected: string
  readonly actual: string
}

export interface ScenarioResult {
  /** The file again, with our outputs. */
  readonly text: string
  readonly stanzas: number
  /** Empty when the file passed. */
  readonly differences: readonly Difference[]
}

/** Runs a file. Throws `GrammarError` or `UsageError` when it cannot be understood, an `Error` when it is empty. */
export function runScenario(source: string): ScenarioResult {
  const file = parse(source)
  const [first] = file.stanzas
  if (first === undefined) throw new Error('the file has no stanza')
  const run = runnerFor(file.stanzas)
  const outputs = file.stanzas.map(run)
  const differences = file.stanzas.flatMap((stanza, i): Difference[] => {
    const expected = comparable(stanza.expected)
    const actual = comparable(outputs[i] ?? '')
    return expected === actual ? [] : [{ line: stanza.line, command: stanza.command, expected, actual }]
  })
  return { text: render(file, outputs), stanzas: file.stanzas.length, differences }
}

const quorumCommands = ['committed', 'vote']
const confChangeCommands = ['simple', 'enter-joint', 'leave-joint']

function runnerFor(stanzas: readonly Stanza[]): (stanza: Stanza) => string {
  const all = (known: readonly string[]): boolean => stanzas.every(({ command }) => known.includes(command))
  if (all(quorumCommands)) return quorumRunner()
  if (all(confChangeCommands)) return confChangeRunner()
  return interactionRunner()
}
