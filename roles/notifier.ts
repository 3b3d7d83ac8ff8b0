/**
 * `martillo notifier`: takes notifications from the queue and posts them to the buyers' webhooks. Invariant: it
 * keeps nothing that it could lose; any number of them share one queue. All, and the servers, need the same key
 * for signatures: MARTILLO_WEBHOOK_KEY_FILE, or else it follows from MARTILLO_JWT_SECRET. Environment, signals and
 * exits are main.ts's. Source: docs/design.md, "Notifications".
 */
import { constants, getPriority, setPriority } from 'node:os'
import { notifierConfig, sharedWebhookKey, startNotifier } from '../notifier/index.ts'
import type { Clock } from '../runtime/clock.ts'
import { ConfigError, configSection, type LoadedConfig } from '../runtime/config.ts'
import type { Logger } from '../runtime/logger.ts'
import type { Metrics } from '../runtime/metrics.ts'
import { serverSection } from '../server/index.ts'
import { openHealth } from './health.ts'
import { roleSection } from './settings.ts'
import type { RunningRole } from './state.ts'

const folderSection = configSection('folder', {
  dataDir: { kind: 'text', default: './data', doc: 'Folder of everything that must survive a restart' },
})

const tokensSection = configSection('tokens', {
  jwtSecret: {
    ...serverSection.settings.jwtSecret,
    doc: 'Key that signs tokens, as the servers have it; without a webhook key file, webhooks are signed by what follows from it',
  },
})

export const notifierSections = {
  process: roleSection,
  folder: folderSection,
  tokens: tokensSection,
  notifier: notifierConfig,
}

/** A queue that only this machine reaches is that of a house on this machine. */
const loopbackEndpoint = /^https?:\/\/(127\.\d+\.\d+\.\d+|\[::1\]|localhost)(:|\/|$)/

export interface NotifierRoleOptions {
  readonly config: LoadedConfig<typeof notifierSections>
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}

export async function startNotifierRole(options: NotifierRoleOptions): Promise<RunningRole> {
  // Where it shares a machine with servers, a thousand webhooks may wait; bids may not.
  setPriority(Math.max(getPriority(), constants.priority.PRIORITY_BELOW_NORMAL))
  const { config, clock, logger, metrics } = options
  const { sqsQueueUrl } = config.notifier
  if (sqsQueueUrl === undefined) {
    throw new ConfigError(['SQS_QUEUE_URL is missing: it names the queue that the servers publish to'])
  }
  const { dataDir } = config.folder
  const { healthHost, healthPort } = config.process
  const key = sharedWebhookKey(config.notifier, config.tokens.jwtSecret)
  const notifier = await startNotifier({
    config: config.notifier,
    dataFolder: dataDir,
    ...(key === undefined ? {} : { key }),
    clock,
    logger,
    metrics,
    random: Math.random,
    exposed: !loopbackEndpoint.test(config.notifier.sqsEndpointUrl ?? ''),
  })
  const health =
    healthPort === undefined
      ? undefined
      : await openHealth({
          host: healthHost,
          port: healthPort,
          metrics,
          isReady: () => true,
          status: () => ({ queueUrl: sqsQueueUrl }),
        }).catch(async (error: unknown) => {
          await notifier.stop()
          throw error
        })
  return {
    // Whoever waits for the first line of a role expects a `url`: that of what it listens to.
    facts: {
      url: health?.url ?? sqsQueueUrl,
      queueUrl: sqsQueueUrl,
      ...(health && { healthUrl: health.url }),
    },
    async stop() {
      await notifier.stop()
      health?.close()
      return []
    },
  }
}
