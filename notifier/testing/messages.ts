/**
 * Notifications for tests.
 * Invariant: they are made as the publisher makes them, so ids and events are those of production.
 */
import type { GroupId, SubjectId } from '../../protocol/ids.ts'
import { type NotificationMessage, notificationMessage } from '../../protocol/notifications.ts'

/** The `position`-th notification of a house, for one buyer. */
export function bidNotification(position: number, recipient: string, endpoint?: string): NotificationMessage {
  return notificationMessage({
    groupId: 0 as GroupId,
    position,
    atMs: 1_800_000_000_000 + position,
    ...(endpoint === undefined ? {} : { endpoint }),
    data: { kind: 'NEW_BID', recipient: recipient as SubjectId, price: 100 * position },
  })
}
