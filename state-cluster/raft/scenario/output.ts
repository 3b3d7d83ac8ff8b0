/**
 * Where the commands of a scenario write: text with nested indentation, silent under `log-level none`.
 *
 * Invariant: at level NONE nothing that a command writes is kept; errors go around this object and are always
 * shown. Log lines themselves are not written: the core has none, and comparison leaves them out.
 */

const levels = ['DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL', 'NONE'] as const
export type LogLevel = (typeof levels)[number]

export class Output {
  level: LogLevel = 'DEBUG'
  #text = ''

  get isQuiet(): boolean {
    return this.level === 'NONE'
  }

  write(text: string): void {
    if (!this.isQuiet) this.#text += text
  }

  /** Everything that `body` writes, two columns further in, each line ended. */
  indented(body: () => void): void {
    const outer = this.#text
    this.#text = ''
    try {
      body()
    } finally {
      const lines = this.#text.split('\n')
      if (lines.at(-1) === '') lines.pop()
      this.#text = outer + lines.map((line) => `  ${line}\n`).join('')
    }
  }

  /** What was written since the last call. */
  take(): string {
    const text = this.#text
    this.#text = ''
    return text
  }

  /** Throws an `Error` for the output when there is no such level; case does not matter. */
  setLevel(name: string): void {
    const level = levels.find((known) => known === name.toUpperCase())
    if (level === undefined) throw new Error(`log levels must be either of [${levels.join(' ')}]`)
    this.level = level
  }
}
