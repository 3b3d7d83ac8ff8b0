/**
 * The random driver: many episodes from one seed.
 *
 * An episode has a group of three to seven nodes, an unreliable network, unreliable disks, members that join and
 * leave, and clients. It takes one small step at a time, and the invariants are checked after each. At its end
 * everything heals, and the group has to come to rest in agreement, or `progress` is violated. A run stops at the
 * first violation. What a node does is in node.ts, what must hold in invariants.ts.
 *
 * Invariant: equal options give equal runs, step by step; the trace hash shows it.
 */
import { AssertionError } from '../assert.ts'
import { Episode } from './episode.ts'
import { type Fault, noFault } from './faults.ts'
import { FuzzNode, type NodeFactory } from './node.ts'
import { drawOptions, type EpisodeOptions } from './options.ts'
import { type Random, TraceHash } from './random.ts'
import { type RuleName, Violation } from './violation.ts'

export interface FuzzOptions {
  /** The generator of an episode, new at each call. Equal episodes get equal numbers. */
  readonly random: (episode: number) => Random
  readonly steps: number
  readonly fault?: Fault
  /** Whether precautions.ts watches too, or consequences alone are looked for. Default true. */
  readonly hasPrecautions?: boolean
  /** What the nodes of an episode are made of. Default: the core on a disk of the driver's own. */
  readonly makeNodes?: (episode: number) => NodeFactory
  /** Called when an episode begins. */
  readonly onEpisode?: (episode: number, options: EpisodeOptions) => void
}

export interface FuzzResult {
  readonly steps: number
  readonly episodes: number
  /** What happened how often. */
  readonly counts: Readonly<Record<string, number>>
  /** 16 hexadecimal digits; equal for equal runs. */
  readonly traceHash: string
  readonly violation: FuzzViolation | null
}

export interface FuzzViolation {
  /** A rule, or `assertion` where the core itself refused to continue. */
  readonly rule: RuleName | 'assertion' | 'exception'
  readonly message: string
  readonly episode: number
  /** Steps from the start of the run. */
  readonly step: number
  /** The last things that happened, oldest first. */
  readonly trace: readonly string[]
}

const memoryNode: NodeFactory = (id, world, config, random) => new FuzzNode(id, world, config, random)

/** Steps of an episode until it is calmed. */
const stepsPerEpisode = 5000

/** Runs `steps` steps, or until something is violated. */
export async function fuzz({
  random: randomOf,
  steps,
  fault = noFault,
  hasPrecautions = true,
  onEpisode,
  makeNodes = () => memoryNode,
}: FuzzOptions): Promise<FuzzResult> {
  const hash = new TraceHash()
  const counts = new Map<string, number>()
  let done = 0
  let episodes = 0
  let violation: FuzzViolation | null = null
  while (done < steps && violation === null) {
    const number = episodes++
    const random = randomOf(number)
    const options = drawOptions(random)
    onEpisode?.(number, options)
    const makeNode = makeNodes(number)
    const episode = new Episode({ options, random, fault, hasPrecautions, hash, counts, makeNode })
    try {
      await episode.run(Math.min(stepsPerEpisode, steps - done))
    } catch (error) {
      const rule = ruleOf(error)
      const message = error instanceof Error ? error.message : String(error)
      violation = { rule, message, episode: number, step: done + episode.steps, trace: episode.recentTrace() }
    }
    done += episode.steps
  }
  return {
    steps: done,
    episodes,
    counts: Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1))),
    traceHash: hash.hex(),
    violation,
  }
}

function ruleOf(error: unknown): FuzzViolation['rule'] {
  if (error instanceof Violation) return error.rule
  return error instanceof AssertionError ? 'assertion' : 'exception'
}
