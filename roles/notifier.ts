/**
 * `martillo notifier`: posts notifications from the queue to the buyers' webhooks.
 * All notifiers and servers need the same key for signatures: MARTILLO_WEBHOOK_KEY_FILE, or else it follows from
 * MARTILLO_JWT_SECRET. Any number of notifiers share one queue.
 * Invariant: it keeps nothing that it could lose; what it did not finish is still in the queue.
 * Source: docs/design.md, "Notifications".
 */
import { constants, getPriority, setPriority } from 'node:os'
import { notifierConfig, sharedWebhookKey, startNotifier } from '../notifier/index.ts'
import { ConfigError, configSection, text } from '../runtime/config.ts'
import { isLoopback } from '../runtime/networks.ts'
import { startServices } from '../runtime/services.ts'
import { serverSection } from '../server/index.ts'
import { openHealth } from './health.ts'
import { defineRole } from './role.ts'
import { deadlines, healthTokensOf, roleSection, secretSection, secretsOf } from './settings.ts'

const folderSection = configSection('folder', {
  dataDir: { is: text().default('./data'), doc: 'Folder of everything that must survive a restart' },
})

const tokensSection = configSection('tokens', {
  jwtSecret: {
    ...serverSection.settings.jwtSecret,
    doc: 'Key that signs tokens, as the servers have it; without a webhook key file, webhooks are signed by what follows from it',
  },
})

export const notifierRole = defineRole({
  name: 'notifier',
  sections: {
    process: roleSection,
    folder: folderSection,
    tokens: tokensSection,
    notifier: notifierConfig,
    secret: secretSection,
  },
  logLevel: 'info',
  async start({ config, clock, logger, metrics }) {
    // Where it shares a machine with servers, bids go before webhooks.
    setPriority(Math.max(getPriority(), constants.priority.PRIORITY_BELOW_NORMAL))
    const { sqsQueueUrl: queueUrl, sqsEndpointUrl } = config.notifier
    if (queueUrl === undefined)
      throw new ConfigError(['SQS_QUEUE_URL is missing: it names the queue that the servers publish to'])
    const key = sharedWebhookKey(config.notifier, config.tokens.jwtSecret)
    const tokens = healthTokensOf(config.process, await secretsOf(config.secret))
    /** Until then the process is alive, but not ready. */
    let hasStarted = false
    const { started, stop } = await startServices({ clock, logger }, async (start) => {
      const health = await start({
        ...deadlines,
        name: 'health',
        start: () =>
          openHealth(config.process, {
            metrics,
            tokens,
            isReady: () => hasStarted,
            status: () => ({ queueUrl }),
          }),
        stop: async (health) => health?.close(),
      })
      await start({
        ...deadlines,
        name: 'notifier',
        stopDeadlineMs: deadlines.stopDeadlineMs + config.notifier.notifierStopGraceMs,
        start: () =>
          startNotifier({
            config: config.notifier,
            dataFolder: config.folder.dataDir,
            ...(key === undefined ? {} : { key }),
            clock,
            logger,
            metrics,
            random: Math.random,
            // A queue that only this machine reaches belongs to a house on this machine.
            exposed: sqsEndpointUrl === undefined || !isLoopback(new URL(sqsEndpointUrl).hostname),
          }),
        stop: (notifier) => notifier.stop(),
      })
      hasStarted = true
      return health
    })
    // A program that starts roles waits for a line with a `url`: that of what the role listens to.
    return {
      facts: { url: started?.url ?? queueUrl, queueUrl, ...(started && { healthUrl: started.url }) },
      stop,
    }
  },
})
