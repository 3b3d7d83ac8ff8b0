/**
 * The text form of what a leader knows of its followers.
 *
 * It shows progress, configurations, and the drawing of acknowledged indexes. In a drawing every voter has a bar: as
 * many `x` as there are voters with a lower index, so that the committed index can be seen.
 * Invariant: equal states give equal text, in ascending order of ids.
 *
 * Source: the outputs in etcd-io/raft testdata, quorum/testdata and confchange/testdata.
 */
import type { Progress } from '../progress.ts'
import { type AckedIndexer, COMMITTED_ALL } from '../quorum.ts'
import type { TrackerConfig } from '../tracker.ts'

/** One line a node. */
export function describeProgress(progress: ReadonlyMap<number, Progress>): string {
  const ids = [...progress.keys()].sort((a, b) => a - b)
  return ids.map((id) => `${id}: ${describeOne(progress.get(id) as Progress)}\n`).join('')
}

function describeOne(pr: Progress): string {
  let text = `${pr.state} match=${pr.match} next=${pr.next}`
  if (pr.isLearner) text += ' learner'
  if (pr.isPaused()) text += ' paused'
  if (pr.pendingSnapshot > 0) text += ` pendingSnap=${pr.pendingSnapshot}`
  if (!pr.recentActive) text += ' inactive'
  if (pr.inflights.count > 0) text += ` inflight=${pr.inflights.count}${pr.inflights.full() ? '[full]' : ''}`
  return text
}

/** `voters=(1 2)&&(2 3) learners=(4) learners_next=(1) autoleave`, without the parts that are empty. */
export function describeConfig(config: TrackerConfig): string {
  let text = `voters=${config.voters}`
  if (config.learners.length > 0) text += ` learners=(${config.learners.join(' ')})`
  if (config.learnersNext.length > 0) text += ` learners_next=(${config.learnersNext.join(' ')})`
  if (config.autoLeave) text += ' autoleave'
  return text
}

/** An index; `∞` where there is nobody who could disagree. */
export function describeIndex(index: number): string {
  return index === COMMITTED_ALL ? '∞' : String(index)
}

/** The voters `ids` (ascending) with their bars; `?` for one that has not answered. */
export function drawQuorum(ids: readonly number[], acked: AckedIndexer): string {
  if (ids.length === 0) return '<empty majority quorum>'
  const indexes = ids.map((id) => Math.max(acked.ackedIndex(id), 0))
  const lines = ids.map((id, i) => {
    const index = indexes[i] as number
    const isKnown = acked.ackedIndex(id) >= 0
    const bar = isKnown ? `${'x'.repeat(indexes.filter((other) => other < index).length)}>` : '?'
    return `${bar.padEnd(ids.length + 1)} ${String(index).padStart(5)}    (id=${id})\n`
  })
  return `${' '.repeat(ids.length)}    idx\n${lines.join('')}`
}
