/**
 * The duties of a server in one group: conduct its auctions, publish their outbox entries.
 *
 * Invariant: conductor and publisher act under one epoch; after `release` neither acts any more. Leaves what falls
 * due to the conductor and who receives what to the publisher. Source: docs/design.md, "Owners, the monitor, and fencing".
 */
import type { GroupId } from '../../protocol/ids.ts'
import type { FeedBatch } from '../../state-cluster/index.ts'
import { Conductor, type ConductorContext } from './conductor.ts'
import { type NotificationSink, Publisher, type PublisherContext } from './publisher.ts'

export interface GroupDutiesOptions extends ConductorContext, Omit<PublisherContext, 'sink' | 'epoch'> {
  readonly metrics: ConductorContext['metrics'] & PublisherContext['metrics']
  /** Absent: outbox entries are not published. */
  readonly sink: NotificationSink | undefined
}

export class GroupDuties {
  readonly groupId: GroupId
  readonly #serverId: ConductorContext['serverId']
  readonly #conductor: Conductor
  readonly #publisher: Publisher | undefined

  constructor({ sink, ...context }: GroupDutiesOptions) {
    this.groupId = context.groupId
    this.#serverId = context.serverId
    const conductor = new Conductor(context)
    this.#conductor = conductor
    this.#publisher =
      sink === undefined ? undefined : new Publisher({ ...context, sink, epoch: () => conductor.epoch })
  }

  /** The epoch in this group; `undefined` until the server has enlisted. */
  get epoch(): number | undefined {
    return this.#conductor.epoch
  }

  start(): void {
    this.#conductor.start()
    this.#publisher?.start()
  }

  /** An applied entry. */
  observe(batch: FeedBatch): void {
    this.#conductor.observe(batch)
    if (batch.hasOutboxEntries) this.#publisher?.wake()
    if (batch.gained?.includes(this.#serverId) === true) this.#publisher?.gained()
  }

  /** The feed has a gap: auctions may have moved, and the outbox may have grown. */
  missed(): void {
    this.#conductor.pulseNow()
    this.#publisher?.gained()
  }

  /** An auction of this group falls due at `atMs` (epoch ms). */
  dueAt(atMs: number): void {
    this.#conductor.dueAt(atMs)
  }

  /** Stops publishing, then gives up ownership. */
  async release(): Promise<void> {
    await this.#publisher?.stop()
    await this.#conductor.release()
  }
}
