/**
 * What a role is: its settings, how it starts, and what it prints then.
 * Each role is declared with `defineRole` in a file of its own; table.ts lists them by the verb that starts them.
 * Invariant: a role gets all that it uses passed in. Environment, signals and exits are main.ts's.
 * Source: docs/design.md, "Processes".
 */
import type { Clock } from '../runtime/clock.ts'
import { type ConfigSections, type ConfigSources, type LoadedConfig, loadConfig } from '../runtime/config.ts'
import { createLogger, type Logger, type LogLevel } from '../runtime/logger.ts'
import type { Metrics } from '../runtime/metrics.ts'
import type { StartProgress } from '../state-cluster/index.ts'

/** What every role gets from its process. */
export interface RoleParts {
  readonly clock: Clock
  readonly metrics: Metrics
  readonly onProgress: (progress: StartProgress) => void
  /** Nothing is answered any more: end the process. */
  readonly onFatal: (error: Error) => void
}

export interface RoleOptions<Config> extends RoleParts {
  readonly config: Config
  readonly logger: Logger
}

/** The facts of the first line; `url` is where the role listens. */
export type RoleFacts = Readonly<Record<string, unknown>> & { readonly url: string }

export interface RunningRole {
  readonly facts: RoleFacts
  /** Resolves with the faults of what did not stop; never rejects. */
  stop(): Promise<readonly Error[]>
}

export interface Role {
  readonly sections: ConfigSections
  /** Loads the settings and starts. Rejects with ConfigError, or with the error of what did not start. */
  start(sources: ConfigSources, parts: RoleParts): Promise<RunningRole>
  /** The first output for a person. */
  greeting(facts: RoleFacts): string
}

export interface RoleDeclaration<All extends ConfigSections> {
  /** In log lines. */
  readonly name: string
  readonly sections: All
  /** Where the setting `logLevel` names none. */
  readonly logLevel: LogLevel
  readonly start: (options: RoleOptions<LoadedConfig<All>>) => Promise<RunningRole>
  /** Absent: one line with the facts. */
  readonly greeting?: (facts: RoleFacts) => string
}

export function defineRole<const All extends ConfigSections>(declared: RoleDeclaration<All>): Role {
  const { name, sections } = declared
  return {
    sections,
    greeting: declared.greeting ?? ((facts) => lineOf(name, facts)),
    async start(sources, parts) {
      const config = loadConfig(sections, sources)
      const { process } = config as { readonly process?: { readonly logLevel?: LogLevel } }
      const logger = createLogger({ level: process?.logLevel ?? declared.logLevel, role: name })
      return await declared.start({ ...parts, config, logger })
    },
  }
}

function lineOf(name: string, facts: RoleFacts): string {
  const words = Object.entries(facts).map(([fact, value]) => `${fact} ${value}`)
  return `martillo ${name}: ${words.join(', ')}\n`
}
