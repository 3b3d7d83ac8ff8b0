/**
 * Runs scenario files of the Raft core: one file, or a folder.
 *
 * One file is printed again with our outputs; a folder is judged. The meaning of a file is in
 * state-cluster/raft/scenario. Exit codes: 0 all passed, 1 some did not, 2 wrong usage or a file that cannot be read.
 *
 * Invariant: a file passes only if the printed text equals the file. Source: the format of etcd's datadriven tests.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { runScenario } from '../state-cluster/raft/scenario/run.ts'

const help = `Usage:
  npm run --silent raft:scenario -- FILE      print FILE again, with the outputs of our core
  npm run --silent raft:scenarios -- FOLDER   run all *.txt below FOLDER, a line each, then "N passed, N failed"

A file is in the data-driven format of etcd-io/raft: interaction, quorum or confchange commands, distinguished by the
commands. Lines of a log level (DEBUG INFO WARN ERROR FATAL) do not count, and an output without others is "ok".

Options:
  --folder    FILE is a folder (what raft:scenarios adds)
  --diff      with a folder: show for each failed stanza what was expected and what came
  --help      this text

Exit code: 0 passed, 1 failed, 2 wrong usage.
`

function main(): number {
  let path: string
  let isFolder: boolean
  let showsDiff: boolean
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        folder: { type: 'boolean', default: false },
        diff: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
    if (values.help) {
      process.stdout.write(help)
      return 0
    }
    const [only, ...more] = positionals
    if (only === undefined || more.length > 0) throw new Error('exactly one path is needed')
    if (statSync(only).isDirectory() !== values.folder) {
      throw new Error(`${only} is ${values.folder ? 'not a' : 'a'} folder`)
    }
    path = only
    isFolder = values.folder
    showsDiff = values.diff
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${help}`)
    return 2
  }
  return isFolder ? runFolder(path, showsDiff) : runFile(path)
}

function runFile(path: string): number {
  try {
    const result = runScenario(readFileSync(path, 'utf8'))
    process.stdout.write(result.text)
    return result.differences.length === 0 ? 0 : 1
  } catch (error) {
    process.stderr.write(`${path}: ${(error as Error).message}\n`)
    return 2
  }
}

function runFolder(folder: string, showsDiff: boolean): number {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.txt'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
  if (files.length === 0) {
    process.stderr.write(`${folder}: no *.txt file\n`)
    return 2
  }
  let passed = 0
  for (const file of files) {
    const problem = judge(file, showsDiff)
    if (problem === '') passed++
    process.stdout.write(`${problem === '' ? 'ok  ' : 'FAIL'} ${relative(folder, file)}${problem}\n`)
  }
  process.stdout.write(`${passed} passed, ${files.length - passed} failed\n`)
  return passed === files.length ? 0 : 1
}

/** What is wrong with the file's run; empty when it passed. */
function judge(file: string, showsDiff: boolean): string {
  try {
    const { differences, stanzas } = runScenario(readFileSync(file, 'utf8'))
    if (differences.length === 0) return ''
    const lines = differences.map((difference) => `${difference.line} ${difference.command}`).join(', ')
    const summary = `: ${differences.length} of ${stanzas} stanzas differ, at line ${lines}`
    if (!showsDiff) return summary
    const details = differences.map(
      ({ line, command, expected, actual }) =>
        `\n--- line ${line} ${command}, expected\n${expected}\n+++ came\n${actual}`,
    )
    return summary + details.join('')
  } catch (error) {
    return `: ${(error as Error).message}`
  }
}

process.exitCode = main()
