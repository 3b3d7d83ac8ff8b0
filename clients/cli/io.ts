/**
 * What the command line touches of its process, handed in by `main.ts`: streams, environment, the signal to stop.
 * Invariant: no verb reads the process itself or ends it; its exit code is a return value.
 */

export interface Output {
  write(text: string): unknown
  /** Whether a person sits before it: then progress overwrites its line. */
  readonly isTTY?: boolean
}

export interface Io {
  readonly stdout: Output
  readonly stderr: Output
  readonly env: Readonly<Record<string, string | undefined>>
  /** Aborted by Ctrl-C: `watch` and `rehearse` end in good order. */
  readonly signal: AbortSignal
}

/** One line of machine-readable output. */
export function printJson(io: Io, value: unknown): void {
  io.stdout.write(`${JSON.stringify(value)}\n`)
}

export function printLine(io: Io, text: string): void {
  io.stdout.write(`${text}\n`)
}

/** Something about the run itself, which never belongs to the output. */
export function note(io: Io, text: string): void {
  io.stderr.write(`${text}\n`)
}
