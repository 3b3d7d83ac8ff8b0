/**
 * The roles that run as processes of their own, and how each is started from its settings. Invariant: a role gets
 * all that it uses handed in; a variable of one role is no mistake in the environment of another.
 */
import { fileURLToPath } from 'node:url'
import type { Clock } from '../runtime/clock.ts'
import type { LoadedConfig } from '../runtime/config.ts'
import type { Logger } from '../runtime/logger.ts'
import type { Metrics } from '../runtime/metrics.ts'
import type { StartProgress } from '../state-cluster/index.ts'
import { monitorSections, startMonitorRole } from './monitor.ts'
import { notifierSections, startNotifierRole } from './notifier.ts'
import { serverSections, startServerRole } from './server.ts'
import { variablesOf } from './settings.ts'
import { type RunningRole, startState, stateSections } from './state.ts'

export interface RoleParts {
  /** Loads the sections of a role. Throws ConfigError. */
  load<const All extends Readonly<Record<string, unknown>>>(sections: All): LoadedConfig<All>
  readonly clock: Clock
  readonly logger: (level: string | undefined) => Logger
  readonly metrics: Metrics
  readonly onProgress: (progress: StartProgress) => void
  /** Nothing is answered any more: end the process. */
  readonly onFatal: (error: Error) => void
}

/** The built page: in dist/, beside the compiled folder or when run from source. */
function webDir(): string {
  return fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? '../dist/web' : '../web', import.meta.url))
}

export const roleRunners = {
  async state(parts: RoleParts): Promise<RunningRole> {
    const config = parts.load(stateSections)
    return await startState({ ...parts, config, logger: parts.logger(config.process.logLevel) })
  },
  async server(parts: RoleParts): Promise<RunningRole> {
    const config = parts.load(serverSections)
    const logger = parts.logger(config.process.logLevel)
    return await startServerRole({ ...parts, config, logger, webDir: webDir() })
  },
  async monitor(parts: RoleParts): Promise<RunningRole> {
    const config = parts.load(monitorSections)
    return await startMonitorRole({ ...parts, config, logger: parts.logger(config.process.logLevel) })
  },
  async notifier(parts: RoleParts): Promise<RunningRole> {
    const config = parts.load(notifierSections)
    return await startNotifierRole({ ...parts, config, logger: parts.logger(config.process.logLevel) })
  },
}

/** The settings of each role. */
export const sectionsOfRoles = {
  state: stateSections,
  server: serverSections,
  monitor: monitorSections,
  notifier: notifierSections,
}

/** The variables of all roles. */
export function variablesOfRoles(): readonly string[] {
  return Object.values(sectionsOfRoles).flatMap((sections) => variablesOf(...Object.values(sections)))
}
