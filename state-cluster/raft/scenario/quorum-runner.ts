/**
 * The commands of quorum scenarios.
 *
 * `committed` shows what a configuration has committed, `vote` the state of an election. Both take `cfg=(ids)`, an
 * optional second half `cfgj=(ids)` or `cfgj=zero`, and `idx=(…)` or `votes=(y,n,_)` in the order in which the ids
 * first appear; `_` means that nothing was received from that node.
 *
 * Invariant: every answer is computed by further methods that must agree (another algorithm, halves swapped, joined
 * with nothing, joined with itself, indexes lowered); one that does not agree shows as a `<-- via …` line.
 *
 * Source: etcd-io/raft quorum/testdata.
 */
import { type AckedIndexer, COMMITTED_ALL, JointConfig, MajorityConfig } from '../quorum.ts'
import { integer, UsageError } from './arguments.ts'
import type { Stanza } from './data-driven.ts'
import { describeIndex, drawQuorum } from './describe-tracker.ts'

/** Runs the stanzas of one file; they share nothing. */
export function quorumRunner(): (stanza: Stanza) => string {
  return (stanza) => {
    const input = readInput(stanza)
    const voters = new JointConfig(input.config, input.joined ?? new MajorityConfig()).ids()
    if (voters.length !== input.answers.length) {
      const set = voters.map((id) => `${id}:{}`).join(' ')
      return `error: mismatched input (explicit or _) for voters map[${set}]: [${input.answers.join(' ')}]`
    }
    const given = assign(input)
    if (stanza.command === 'vote')
      return vote(input, new Map([...given].map(([id, v]) => [id, v !== votedNo])))
    return input.joined === null
      ? committedByMajority(input.config, given)
      : committedJointly(input.config, input.joined, given)
  }
}

interface Input {
  readonly config: MajorityConfig
  /** The ids as the file lists them, of both halves. */
  readonly order: readonly number[]
  readonly joined: MajorityConfig | null
  /** Indexes or votes; 0 where the file has `_`. */
  readonly answers: readonly number[]
}

const votedNo = 1
const votedYes = 2
const votes: Readonly<Record<string, number>> = { y: votedYes, n: votedNo, _: 0 }

function readInput(stanza: Stanza): Input {
  const ids: number[] = []
  const joinedIds: number[] = []
  const answers: number[] = []
  let isJoint = false
  for (const { key, values } of stanza.args) {
    for (const value of values) {
      if (key === 'cfg') ids.push(integer(value, key))
      else if (key === 'cfgj') {
        isJoint = true
        if (value !== 'zero') joinedIds.push(integer(value, key))
        else if (values.length > 1) throw new UsageError("cannot mix 'zero' into a configuration")
      } else if (key === 'idx') {
        const index = value === '_' ? 0 : integer(value, key)
        if (value !== '_' && index === 0) throw new UsageError('cannot use 0 as idx')
        answers.push(index)
      } else if (key === 'votes') {
        const answer = votes[value]
        if (answer === undefined) throw new UsageError(`unknown vote: ${value}`)
        answers.push(answer)
      } else throw new UsageError(`${stanza.command} has no ${key}=`)
    }
  }
  const joined = isJoint ? new MajorityConfig(joinedIds) : null
  return { config: new MajorityConfig(ids), order: [...ids, ...joinedIds], joined, answers }
}

/** Who answered what; those who did not are left out. */
function assign(input: Input): Map<number, number> {
  const given = new Map<number, number>()
  const order = [...new Set(input.order)]
  for (const [i, id] of order.entries()) {
    const answer = input.answers[i] ?? 0
    if (answer !== 0) given.set(id, answer)
  }
  return given
}

function vote(input: Input, given: ReadonlyMap<number, boolean>): string {
  if (input.joined === null) return `${input.config.voteResult(given)}\n`
  const result = new JointConfig(input.config, input.joined).voteResult(given)
  const swapped = new JointConfig(input.joined, input.config).voteResult(given)
  return `${swapped === result ? '' : `${swapped} <-- via symmetry\n`}${result}\n`
}

function committedByMajority(config: MajorityConfig, given: ReadonlyMap<number, number>): string {
  const index = config.committedIndex(indexer(given))
  const others: [string, number][] = [
    ['via alternative computation', countedCommit(config, given)],
    ['via zero-joint quorum', new JointConfig(config).committedIndex(indexer(given))],
    ['via self-joint quorum', new JointConfig(config, config).committedIndex(indexer(given))],
  ]
  for (const [id, acked] of given) {
    if (!config.has(id) || acked >= index) continue
    // A voter below the committed index does not carry it: lowering it further must change nothing.
    for (const lower of [acked - 1, 0]) {
      const lowered = new Map(given).set(id, lower)
      others.push([`overlaying ${id}->${lower}`, config.committedIndex(indexer(lowered))])
    }
  }
  const disagreeing = others.filter(([, other]) => other !== index)
  const remarks = disagreeing.map(([how, other]) => `${describeIndex(other)} <-- ${how}\n`)
  return `${drawQuorum(config.ids, indexer(given))}${remarks.join('')}${describeIndex(index)}\n`
}

function committedJointly(
  config: MajorityConfig,
  joined: MajorityConfig,
  given: ReadonlyMap<number, number>,
): string {
  const joint = new JointConfig(config, joined)
  const index = joint.committedIndex(indexer(given))
  const swapped = new JointConfig(joined, config).committedIndex(indexer(given))
  const remark = swapped === index ? '' : `${describeIndex(swapped)} <-- via symmetry\n`
  return `${drawQuorum(joint.ids(), indexer(given))}${remark}${describeIndex(index)}\n`
}

function indexer(given: ReadonlyMap<number, number>): AckedIndexer {
  return { ackedIndex: (id) => given.get(id) ?? -1 }
}

/** By counting: the highest acknowledged index that more than half of the voters have reached. */
function countedCommit(config: MajorityConfig, given: ReadonlyMap<number, number>): number {
  if (config.size === 0) return COMMITTED_ALL
  const acked = config.ids.map((id) => given.get(id) ?? 0)
  const carried = acked.filter((index) => acked.filter((other) => other >= index).length * 2 > config.size)
  return Math.max(0, ...carried)
}
