/**
 * The text form of everything that scenario files show: Ready, messages, entries, states, snapshots.
 *
 * Invariant: byte for byte the form that the scenario files of etcd-io/raft use, so that those files can judge
 * this core. Progress, configurations and quorum drawings are in describe-tracker.ts.
 *
 * Source: the outputs in etcd-io/raft testdata; util.go for the rarely seen parts.
 */

import { AssertionError } from '../assert.ts'
import { changesOf, decodeConfChange } from '../confchange-codec.ts'
import { type StepError, StorageError, type StorageErrorCode } from '../errors.ts'
import {
  type ConfChangeSingle,
  type ConfChangeType,
  type ConfState,
  type Entry,
  type HardState,
  isEmptyHardState,
  isEmptySnapshot,
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  type Message,
  NONE,
  type ReadState,
  type Ready,
  type Snapshot,
  type SoftState,
} from '../types.ts'
import { quote } from './utf8.ts'

/** A Ready as lines that each end in a line feed; `<empty Ready>` without one when it says nothing. */
export function describeReady(ready: Ready): string {
  const lines: string[] = []
  if (ready.softState !== null) lines.push(describeSoftState(ready.softState))
  if (ready.hardState !== null && !isEmptyHardState(ready.hardState)) {
    lines.push(`HardState ${describeHardState(ready.hardState)}`)
  }
  if (ready.readStates.length > 0) lines.push(`ReadStates ${describeReadStates(ready.readStates)}`)
  if (ready.entries.length > 0) lines.push('Entries:', ...ready.entries.map(describeEntry))
  if (ready.snapshot !== null && !isEmptySnapshot(ready.snapshot)) {
    lines.push(`Snapshot ${describeSnapshot(ready.snapshot)}`)
  }
  if (ready.committedEntries.length > 0) {
    lines.push('CommittedEntries:', ...ready.committedEntries.map(describeEntry))
  }
  if (ready.messages.length > 0) lines.push('Messages:', ...ready.messages.map((m) => describeMessage(m)))
  if (lines.length === 0) return '<empty Ready>'
  return `Ready MustSync=${ready.mustSync}:\n${lines.join('\n')}\n`
}

/** A message without a line feed at its end; several entries, a snapshot and responses take lines of their own. */
export function describeMessage(message: Message, indent = ''): string {
  const m = message
  let text = `${indent}${target(m.from)}->${target(m.to)} ${m.type} Term:${m.term} Log:${m.logTerm}/${m.index}`
  if (m.reject) text += ` Rejected (Hint: ${m.rejectHint})`
  if (m.commit !== 0) text += ` Commit:${m.commit}`
  if (m.vote !== NONE) text += ` Vote:${m.vote}`
  const [first] = m.entries
  if (first !== undefined && m.entries.length === 1) text += ` Entries:[${describeEntry(first)}]`
  else if (first !== undefined) {
    text += ` Entries:[${m.entries.map((entry) => `\n${indent}  ${describeEntry(entry)}`).join('')}\n${indent}]`
  }
  if (m.snapshot !== null && !isEmptySnapshot(m.snapshot)) {
    text += `\n${indent}  Snapshot: ${describeSnapshot(m.snapshot)}`
  }
  if (m.responses.length > 0) {
    const responses = m.responses.map((response) => `\n${describeMessage(response, `${indent}  `)}`)
    text += ` Responses:[${responses.join('')}\n${indent}]`
  }
  return text
}

/** `term/index type payload`; a configuration change shows its operations instead of its bytes. */
export function describeEntry(entry: Entry): string {
  const payload =
    entry.type === 'EntryNormal' ? quote(entry.data) : describeChanges(changesOf(decodeConfChange(entry)))
  return `${entry.term}/${entry.index} ${entry.type}${payload === '' ? '' : ` ${payload}`}`
}

export function describeSoftState(state: SoftState): string {
  return `Lead:${state.lead} State:${state.raftState}`
}

export function describeHardState(state: HardState): string {
  const vote = state.vote === NONE ? '' : ` Vote:${state.vote}`
  return `Term:${state.term}${vote} Commit:${state.commit}`
}

export function describeSnapshot(snapshot: Snapshot): string {
  const { index, term, confState } = snapshot.metadata
  return `Index:${index} Term:${term} ConfState:${describeConfState(confState)}`
}

export function describeConfState(state: ConfState): string {
  return [
    `Voters:${list(state.voters)}`,
    `VotersOutgoing:${list(state.votersOutgoing)}`,
    `Learners:${list(state.learners)}`,
    `LearnersNext:${list(state.learnersNext)}`,
    `AutoLeave:${state.autoLeave}`,
  ].join(' ')
}

const letters: Readonly<Record<ConfChangeType, string>> = {
  ConfChangeAddNode: 'v',
  ConfChangeAddLearnerNode: 'l',
  ConfChangeRemoveNode: 'r',
  ConfChangeUpdateNode: 'u',
}

/** `v1 l2 r3 u4`: the form in which files write and show changes. */
export function describeChanges(changes: readonly ConfChangeSingle[]): string {
  return changes.map((change) => `${letters[change.type]}${change.nodeId}`).join(' ')
}

/** Reads what `describeChanges` writes. Throws an `Error` whose text is the reference's, for the output. */
export function parseChanges(text: string): ConfChangeSingle[] {
  const words = text.trim() === '' ? [] : text.trim().split(' ')
  return words.map((word) => {
    if (word.length < 2) throw new Error(`unknown token ${word}`)
    const type = (Object.keys(letters) as ConfChangeType[]).find((key) => letters[key] === word[0])
    if (type === undefined) throw new Error(`unknown input: ${word}`)
    const digits = word.slice(1)
    if (!/^\d+$/.test(digits))
      throw new Error(`strconv.ParseUint: parsing ${JSON.stringify(digits)}: invalid syntax`)
    return { type, nodeId: Number(digits) }
  })
}

const storageErrorTexts: Readonly<Record<StorageErrorCode, string>> = {
  compacted: 'requested index is unavailable due to compaction',
  unavailable: 'requested entry at index is unavailable',
  snapshot_out_of_date: 'requested index is older than the existing snapshot',
  snapshot_temporarily_unavailable: 'snapshot is temporarily unavailable',
}

const stepErrorTexts: Readonly<Record<StepError['code'], string>> = {
  proposal_dropped: 'raft proposal dropped',
  step_local_message: 'raft: cannot step raft local message',
  step_peer_not_found: 'raft: cannot step as peer not found',
}

/** The reference's text of an error; the core has codes and words of its own. */
export function describeError(error: unknown): string {
  if (error instanceof StorageError) return storageErrorTexts[error.code]
  if (error instanceof AssertionError) return `panic: ${error.message}`
  return error instanceof Error ? error.message : String(error)
}

/** As `describeError`, for the refusals that `step` and its kin return. */
export function describeStepError(error: StepError): string {
  return stepErrorTexts[error.code]
}

function target(id: number): string {
  if (id === NONE) return 'None'
  if (id === LOCAL_APPEND_THREAD) return 'AppendThread'
  if (id === LOCAL_APPLY_THREAD) return 'ApplyThread'
  return id.toString(16)
}

function describeReadStates(states: readonly ReadState[]): string {
  return `[${states.map((state) => `{${state.index} ${list([...state.requestCtx])}}`).join(' ')}]`
}

function list(ids: readonly number[]): string {
  return `[${ids.join(' ')}]`
}
