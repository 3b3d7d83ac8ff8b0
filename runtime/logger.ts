/**
 * Log lines: one JSON object each.
 *
 * The message is a stable event name and the facts are fields. This is the only file that names pino. Each `main.ts`
 * builds one logger and passes it down; pure code does not log. Invariant: fields that carry secrets
 * (`redactedFields`) never reach the output, at the top level or one below.
 * Source: docs/style.md, "Configuration, logs, metrics".
 */
import pino from 'pino'

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

export type LogFacts = Readonly<Record<string, unknown>>

export interface Logger {
  /** What helps a developer. */
  debug(event: string, facts?: LogFacts): void
  /** What an operator wants in a timeline; never a line per bid. */
  info(event: string, facts?: LogFacts): void
  /** Works, but someone should look. */
  warn(event: string, facts?: LogFacts): void
  /** Something that was asked for was not done. An `Error` goes in `facts.error`. */
  error(event: string, facts?: LogFacts): void
  /** A logger that adds these facts to each line. */
  child(facts: LogFacts): Logger
}

export interface LogDestination {
  write(line: string): void
}

/** Replaced by `[secret]` wherever they stand in facts, one level deep. */
export const redactedFields = [
  'token',
  'authorization',
  'secret',
  'password',
  'reserve',
  'maxBid',
  'amount',
  'signature',
] as const

const redactedPaths = redactedFields.flatMap((field) => [field, `*.${field}`])

/**
 * A logger for a process or a role in it. Lines go to `destination` (default: standard error, so that standard
 * output stays free for what a command prints).
 */
export function createLogger(options: {
  readonly level: LogLevel
  readonly role: string
  readonly destination?: LogDestination
}): Logger {
  const base = pino(
    {
      level: options.level,
      base: { role: options.role },
      messageKey: 'event',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: redactedPaths, censor: '[secret]' },
      serializers: { error: pino.stdSerializers.err },
    },
    options.destination ?? pino.destination({ fd: 2, sync: true }),
  )
  return wrap(base)
}

/** Drops every line. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLogger,
}

function wrap(base: pino.Logger): Logger {
  return {
    debug: (event, facts) => base.debug(facts ?? {}, event),
    info: (event, facts) => base.info(facts ?? {}, event),
    warn: (event, facts) => base.warn(facts ?? {}, event),
    error: (event, facts) => base.error(facts ?? {}, event),
    child: (facts) => wrap(base.child(facts)),
  }
}
