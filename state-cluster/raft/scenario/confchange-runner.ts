/**
 * The commands of configuration-change scenarios.
 *
 * They are `simple`, `enter-joint [autoleave=true]` and `leave-joint`, with the changes as input (`v1 l2 r3 u4`).
 * All stanzas of a file work on one configuration.
 *
 * Invariant: a refused change leaves the configuration as it was; its reason is the output. The end of the log,
 * where new members are first probed, grows by one with each stanza, so that `next` shows when a member came.
 *
 * Source: etcd-io/raft confchange/testdata.
 */
import { Changer, type Configuration } from '../confchange.ts'
import { ProgressTracker } from '../tracker.ts'
import { NO_LIMIT } from '../types.ts'
import { flag, UsageError } from './arguments.ts'
import type { Stanza } from './data-driven.ts'
import { describeError, parseChanges } from './describe.ts'
import { describeConfig, describeProgress } from './describe-tracker.ts'

const maxInflight = 10

/** Runs the stanzas of one file, in order, beginning with an empty configuration. */
export function confChangeRunner(): (stanza: Stanza) => string {
  const tracker = new ProgressTracker(maxInflight, NO_LIMIT)
  let lastIndex = 0
  return (stanza) => {
    const changer = new Changer(tracker, lastIndex++)
    try {
      const { config, progress } = change(changer, stanza)
      tracker.use(config, progress)
      return `${describeConfig(config)}\n${describeProgress(progress)}`
    } catch (error) {
      if (error instanceof UsageError) throw error
      return `${describeError(error)}\n`
    }
  }
}

function change(changer: Changer, stanza: Stanza): Configuration {
  const changes = parseChanges(stanza.input)
  switch (stanza.command) {
    case 'simple':
      return changer.simple(changes)
    case 'enter-joint': {
      const autoLeave = stanza.args.find((arg) => arg.key === 'autoleave')?.values[0] ?? 'false'
      return changer.enterJoint(flag(autoLeave, 'autoleave'), changes)
    }
    case 'leave-joint':
      if (changes.length > 0) throw new Error('this command takes no input')
      return changer.leaveJoint()
    default:
      throw new UsageError(`unknown command ${stanza.command}`)
  }
}
