/**
 * A state node that stops while its disk is full.
 * It starts again by itself when there is space.
 * Invariant: a node stops like this only when nothing was written half; its cluster then continues with the others.
 * Every other fault ends the process (`onFatal`). At most one node is open on the folder.
 * Source: docs/spec.md DISK1.
 */
import { type Clock, sleep } from '../runtime/clock.ts'
import type { Logger } from '../runtime/logger.ts'
import { type StateNode, StoreError } from '../state-cluster/index.ts'

/** How often it looks for space. */
const spaceLookMs = 1_000

export interface ResumingNodeOptions {
  readonly open: (port: number, onFatal: (error: Error) => void) => Promise<StateNode>
  /** Of the first start; 0: any free one. The node comes back where it was. */
  readonly port: number
  readonly dataDir: string
  readonly hasRoom: (dataDir: string) => boolean
  readonly clock: Clock
  readonly logger: Logger
  readonly onFatal: (error: unknown) => void
}

export class ResumingNode {
  readonly host: string
  readonly port: number
  readonly clusterId: string
  readonly #options: ResumingNodeOptions
  #node: StateNode | undefined
  readonly #closing = new AbortController()
  /** The stop and the restart that are under way. */
  #resuming: Promise<void> = Promise.resolve()

  private constructor(options: ResumingNodeOptions, node: StateNode) {
    this.#options = options
    this.#node = node
    this.host = node.address.host
    this.port = node.address.port
    this.clusterId = node.clusterId
  }

  static async open(options: ResumingNodeOptions): Promise<ResumingNode> {
    let opened: ResumingNode | undefined
    const node = await options.open(options.port, (error) => {
      if (opened === undefined) options.onFatal(error)
      else opened.#failed(error)
    })
    opened = new ResumingNode(options, node)
    return opened
  }

  /** Undefined while the disk is full. */
  get node(): StateNode | undefined {
    return this.#node
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#resuming
    await this.#node?.close()
    this.#node = undefined
  }

  #failed(error: Error): void {
    const node = this.#node
    if (!isDiskFull(error)) this.#options.onFatal(error)
    else if (node !== undefined) this.#resuming = this.#resume(node, error)
  }

  async #resume(node: StateNode, error: StoreError): Promise<void> {
    const { logger, dataDir, hasRoom, open, onFatal, clock } = this.#options
    const { signal } = this.#closing
    this.#node = undefined
    logger.error('stepped_aside', { reason: error.message })
    await node.close()
    while (!signal.aborted && this.#node === undefined) {
      await sleep(clock, spaceLookMs, signal)
      if (signal.aborted || !hasRoom(dataDir)) continue
      try {
        this.#node = await open(this.port, (failure) => this.#failed(failure))
        logger.info('came_back', { dataDir })
      } catch (failure) {
        if (isDiskFull(failure)) continue
        onFatal(failure)
        return
      }
    }
  }
}

function isDiskFull(error: unknown): error is StoreError {
  return error instanceof StoreError && error.isStoreIntact
}
