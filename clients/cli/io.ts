/**
 * The parts of the process that verbs may use: streams, environment, stop signal.
 * Invariant: no verb reads the process itself or ends it; its exit code is a return value.
 */

export interface Output {
  write(text: string): unknown
  /** Whether it is a terminal: then progress overwrites its line. */
  readonly isTTY?: boolean
}

export interface Io {
  readonly stdout: Output
  readonly stderr: Output
  readonly env: Readonly<Record<string, string | undefined>>
  /** Aborted by Ctrl-C: `watch` and `rehearse` finish and report. */
  readonly signal: AbortSignal
}

/** One line of machine-readable output. */
export function printJson(io: Io, value: unknown): void {
  io.stdout.write(`${JSON.stringify(value)}\n`)
}

export function printLine(io: Io, text: string): void {
  io.stdout.write(`${text}\n`)
}

/** A remark about the run, to standard error, never to the output. */
export function note(io: Io, text: string): void {
  io.stderr.write(`${text}\n`)
}
