/**
 * Counts what is rare in a state node, and logs it.
 *
 * Invariant: every series is there at zero from the start, with labels of closed lists, and counts every event, also
 * those whose log line is held back; of each kind one line in a second passes. Link faults are logged by the node, which
 * knows whose they are. Source: docs/spec.md RARE1, METRIC1, METRIC2, LOG4.
 */
import { NoteLimit } from '../runtime/note-limit.ts'
import { type NodeRareEvent, snapshotReasons, stallKinds } from '../state-cluster/index.ts'
import type { RoleOptions } from './role.ts'

type Needs = Pick<RoleOptions<unknown>, 'metrics' | 'logger' | 'clock'>
type Metrics = Needs['metrics']

/** `answer_failed` is a fault of this node. */
const linkFaultCodes = ['answer_failed', 'malformed', 'corrupt_frame', 'silent'] as const

/** The most that one kind of event writes. */
const noteEveryMs = 1_000
const kindsMax = 100

export type OnRare = (event: NodeRareEvent, groupId?: number) => void

/** Counts and logs; for `onRare` of a node. */
export function rareEvents({ metrics, logger, clock }: Needs): OnRare {
  const count = rareCounters(metrics)
  const limit = new NoteLimit({ clock, everyMs: noteEveryMs, kindsMax })
  return (event, groupId) => {
    count(event)
    const { type, ...facts } = event
    const omitted = type === 'link_fault' ? undefined : limit.pass(`${type} ${groupId}`)
    if (omitted === undefined) return
    logger.info(type, {
      ...(groupId !== undefined && { groupId }),
      ...facts,
      ...(omitted > 0 && { omitted }),
    })
  }
}

function rareCounters(metrics: Metrics): (event: NodeRareEvent) => void {
  const counter = (name: string, help: string) =>
    metrics.counter({ name: `martillo_state_${name}_total`, help })
  const labelled = <const Name extends string>(
    name: string,
    help: string,
    labels: Readonly<Record<Name, readonly string[]>>,
  ) => metrics.counter({ name: `martillo_state_${name}_total`, help, labels })
  const sent = labelled('snapshots_sent', 'Snapshots that this node began to send, by why.', {
    reason: snapshotReasons,
  })
  const broken = counter('snapshots_broken', 'Snapshots sent that did not arrive; each is sent again.')
  const installed = labelled('snapshots_installed', 'Snapshots that replaced the state of this node.', {
    reason: snapshotReasons,
  })
  const campaigns = counter('campaigns', 'Times that this node asked for votes.')
  const elected = counter('elections_won', 'Times that this node became leader of a group.')
  const handovers = counter('handovers', 'Times that this node asked another one to lead.')
  const unknown = counter('unknown_outcomes', 'Commands of which it is not known whether they count.')
  const stalls = labelled('stalls', 'Times that disk or event loop stood still for 500 ms or more.', {
    kind: stallKinds,
  })
  const linkFaults = labelled('link_faults', 'Sessions of link clients that ended by a fault.', {
    code: linkFaultCodes,
  })
  return (event) => {
    switch (event.type) {
      case 'snapshot_sent':
        return sent.add(1, { reason: event.reason })
      case 'snapshot_broken':
        return broken.add(1)
      case 'snapshot_installed':
        return installed.add(1, { reason: event.reason })
      case 'campaign':
        return campaigns.add(1)
      case 'elected':
        return elected.add(1)
      case 'handover':
        return handovers.add(1)
      case 'unknown_outcomes':
        return unknown.add(event.count)
      case 'stall':
        return stalls.add(1, { kind: event.kind })
      case 'link_fault':
        return linkFaults.add(1, { code: event.code })
    }
  }
}
