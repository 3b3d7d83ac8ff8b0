/**
 * Reads and writes the data-driven file format.
 *
 * A stanza is a directive line, input lines, `----`, and the expected output up to an empty line (or, where an output
 * has empty lines of its own, between doubled `----` lines). Lines that begin with `#` between stanzas are comments;
 * a directive that ends in `\` continues in the next line.
 *
 * Invariant: `render(parse(text).map(s => s.expected))` gives a well-formed text back, so printing is a fixed
 * point. What the directives mean is left to the runners.
 *
 * Source: the format of github.com/cockroachdb/datadriven, as used by the scenario files of etcd-io/raft.
 */

/** One argument of a directive: `key`, `key=value` or `key=(v1, v2)`. */
export interface Argument {
  readonly key: string
  /** Empty for a bare key; one or more texts otherwise. */
  readonly values: readonly string[]
}

/** A directive with its input lines and the output that the file expects. */
export interface Stanza {
  /** Line of the directive, counted from 1. */
  readonly line: number
  readonly command: string
  readonly args: readonly Argument[]
  /** Lines between directive and `----`, trimmed as one text. */
  readonly input: string
  /** Expected output; every line ends with a line feed. */
  readonly expected: string
}

/** A parsed file: the stanzas, and for every stanza the source text that comes before its output. */
export interface ScenarioFile {
  readonly stanzas: readonly Stanza[]
  /** `leads[i]` is all source text after output i−1 up to and including the `----` of stanza i. */
  readonly leads: readonly string[]
  /** Source text after the last output. */
  readonly tail: string
}

/** The file breaks the grammar. `line` is counted from 1. */
export class GrammarError extends Error {
  readonly line: number

  constructor(line: number, reason: string) {
    super(`line ${line}: ${reason}`)
    this.name = 'GrammarError'
    this.line = line
  }
}

const separator = '----'

/** Reads a whole file. Throws `GrammarError` for a directive that cannot be read or has no `----`. */
export function parse(text: string): ScenarioFile {
  const lines = text.split('\n')
  if (lines.at(-1) === '') lines.pop()
  const stanzas: Stanza[] = []
  const leads: string[] = []
  let lead: string[] = []
  let at = 0
  while (at < lines.length) {
    const start = at
    let directive = (lines[at++] ?? '').trim()
    lead.push(lines[start] ?? '')
    if (directive === '' || directive.startsWith('#')) continue
    while (directive.endsWith('\\') && at < lines.length) {
      const next = lines[at++] ?? ''
      lead.push(next)
      directive = `${directive.slice(0, -1)} ${next.trim()}`
    }
    const { command, args } = parseDirective(directive, start + 1)
    const input: string[] = []
    while (at < lines.length && lines[at] !== separator) input.push(lines[at++] ?? '')
    if (at === lines.length) throw new GrammarError(start + 1, `"${command}" has no ${separator} line`)
    at++
    lead.push(...input, separator)
    const output = readOutput(lines, at)
    at = output.next
    stanzas.push({
      line: start + 1,
      command,
      args,
      input: input.join('\n').trim(),
      expected: output.lines.map((line) => `${line}\n`).join(''),
    })
    leads.push(`${lead.join('\n')}\n`)
    lead = []
  }
  return { stanzas, leads, tail: lead.map((line) => `${line}\n`).join('') }
}

/** Reads `command key key=value key=(v, (w))`; used for directives and for commands in an input. */
export function parseDirective(text: string, line: number): { command: string; args: Argument[] } {
  const words = splitOutsideParens(text.trim(), line)
  const [command, ...rest] = words
  if (command === undefined) throw new GrammarError(line, 'empty directive')
  return { command, args: rest.map((word) => parseArgument(word, line)) }
}

/** The file again, with `outputs[i]` as the output of stanza i. */
export function render(file: ScenarioFile, outputs: readonly string[]): string {
  const pieces = file.leads.map((lead, i) => {
    const output = outputs[i] ?? ''
    if (output === '') return lead
    const ended = output.endsWith('\n') ? output : `${output}\n`
    const hasEmptyLine = ended
      .split('\n')
      .slice(0, -1)
      .some((line) => line.trim() === '')
    return hasEmptyLine ? `${lead}${separator}\n${ended}${separator}\n${separator}\n` : lead + ended
  })
  return pieces.join('') + file.tail
}

const logLine = /^\s*(DEBUG|INFO|WARN|ERROR|FATAL)\b/

/**
 * The form in which outputs are compared: lines of a log level are left out, at any depth, and an output that is
 * then empty is `ok`.
 */
export function comparable(output: string): string {
  const kept = output.split('\n').filter((line) => !logLine.test(line))
  const text = kept.join('\n').replace(/\n+$/, '')
  return text.trim() === '' ? 'ok' : text
}

/** Output lines from `at`, and where the source continues; the empty line that ends an output stays source. */
function readOutput(lines: readonly string[], at: number): { lines: string[]; next: number } {
  const output: string[] = []
  if (lines[at] === separator) {
    let i = at + 1
    while (i < lines.length && !(lines[i] === separator && lines[i + 1] === separator))
      output.push(lines[i++] ?? '')
    return { lines: output, next: i + 2 }
  }
  let i = at
  while (i < lines.length && lines[i]?.trim() !== '') output.push(lines[i++] ?? '')
  return { lines: output, next: i }
}

function splitOutsideParens(text: string, line: number): string[] {
  const words: string[] = []
  let word = ''
  let depth = 0
  for (const char of text) {
    if (char === ' ' && depth === 0) {
      if (word !== '') words.push(word)
      word = ''
      continue
    }
    if (char === '(') depth++
    if (char === ')') depth--
    if (depth < 0) throw new GrammarError(line, 'a ")" without its "("')
    word += char
  }
  if (depth !== 0) throw new GrammarError(line, 'a "(" without its ")"')
  if (word !== '') words.push(word)
  return words
}

function parseArgument(word: string, line: number): Argument {
  const equals = word.indexOf('=')
  if (equals === 0) throw new GrammarError(line, `argument without a name: ${word}`)
  if (equals < 0) return { key: word, values: [] }
  const key = word.slice(0, equals)
  const value = word.slice(equals + 1)
  if (!value.startsWith('(')) return { key, values: [value] }
  if (!value.endsWith(')')) throw new GrammarError(line, `text after the ")" of ${word}`)
  return { key, values: splitValues(value.slice(1, -1)) }
}

/** Splits at commas that are in no inner pair of parentheses. */
function splitValues(list: string): string[] {
  const values: string[] = []
  let value = ''
  let depth = 0
  for (const char of list) {
    if (char === ',' && depth === 0) {
      values.push(value.trim())
      value = ''
      continue
    }
    if (char === '(') depth++
    if (char === ')') depth--
    value += char
  }
  values.push(value.trim())
  return values
}
