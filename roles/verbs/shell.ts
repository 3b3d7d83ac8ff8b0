/**
 * How the verbs of the roles reach their process.
 * Also: how their failures become exit codes.
 * Invariant: a failure that a user or an operator can cause is one line that says what to do, and an exit code of
 * the contract; only a bug of ours is a stack trace. Source: docs/protocol.md, "Command line".
 */
import { CliFailure, exitCodes, type Io } from '../../clients/cli/index.ts'

export interface Shell {
  readonly io: Io
  /** From now on a signal is left to the role, which stops by itself. */
  serving(): void
  /** Ends the process. */
  exit(code: number): never
}

interface JsonOption {
  readonly json?: true
}

/** One line of a verb's output: the facts with `--json`, else the text. */
export function print({ io }: Shell, options: JsonOption, line: { text: string; facts: object }): void {
  io.stdout.write(`${options.json === true ? JSON.stringify(line.facts) : line.text}\n`)
}

/** Resolves or rejects as `work`, whose foreseen errors become failures of the command. */
export async function asFailures<Value>(work: () => Promise<Value>): Promise<Value> {
  try {
    return await work()
  } catch (error) {
    const { name, code, message } = error as { name?: string; code?: string; message?: string }
    if (error instanceof CliFailure) throw error
    if (name === 'ConfigError') throw new CliFailure(exitCodes.usage, String(message).split('\n').join('; '))
    if (typeof code === 'string') throw new CliFailure(exitCodes.refused, String(message), { code })
    throw error
  }
}
