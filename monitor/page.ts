/**
 * The operator's page of a monitor, drawn again every second.
 *
 * It shows servers, owners, groups and recent reassignments, from the same facts that `/status` gives as JSON.
 * Invariant: whatever a name contains is text, never markup. Source: docs/spec.md WATCH11.
 */
import type { MonitorStatus } from './monitor.ts'

const style = `:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;
padding:0 1rem}div{overflow-x:auto}th,td{white-space:nowrap}h1{font-size:1.3rem}h2{font-size:1rem;margin-top:2rem}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.3rem .8rem .3rem 0;border-bottom:1px solid #8884;font-variant-numeric:tabular-nums}
th{font-weight:600}.bad{color:light-dark(#b3261e,#ffb4ab);font-weight:600}.quiet{opacity:.65}`

/** One whole HTML page. `nowMs`: epoch ms. */
export function monitorPage(status: MonitorStatus, nowMs: number): string {
  const { cluster, groups, recent, watched } = status
  const links = new Map(watched.map((one) => [one.serverId as string, one]))
  const state = cluster.groups.map((group) => [
    `${group.groupId}`,
    group.ready ? 'led' : bad('no leader'),
    `${group.term}`,
    `${group.commitIndex}`,
    `${group.commitIndex - group.appliedIndex}`,
    `${group.openAuctions}`,
    `${group.auctions}`,
    `${group.outboxLength}`,
  ])
  const owners = groups.flatMap(({ groupId, owners: view }) =>
    (view?.servers ?? []).map((server) => {
      const link = links.get(server.serverId)
      return [
        text(server.serverId),
        `${groupId}`,
        server.standing === 'dead' ? bad('dead') : server.standing,
        `${server.epoch}`,
        link === undefined
          ? '–'
          : link.state === 'up' || link.state === 'left'
            ? link.state
            : bad(link.state),
        `${link?.sockets ?? '–'}`,
        `${server.auctions}`,
        `${server.outboxEntries}`,
        seconds((view?.atMs ?? 0) - server.lastConductedMs),
      ]
    }),
  )
  const moved = recent.map((one) => [
    seconds(nowMs - one.atMs),
    text(one.serverId),
    `${one.groupId}`,
    one.reason,
    `${one.auctions}`,
    `${one.outboxEntries}`,
    `${one.tookMs} ms`,
  ])
  const acting = status.isActing ? 'This monitor acts.' : 'This monitor stands by.'
  const held = groups.map(({ groupId, owners: view }) => {
    const lease = view?.lease
    return lease === undefined
      ? `group ${groupId}: no monitor yet`
      : `group ${groupId}: ${text(lease.monitorId)}, token ${lease.token}`
  })
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="1">
<meta name="viewport" content="width=device-width"><title>Martillo monitor</title><style>${style}</style>
<h1>Martillo monitor ${text(status.monitorId)}</h1><p>${acting} <span class="quiet">${held.join(' · ')}</span></p>
<h2>Servers</h2>${table(['server', 'group', 'standing', 'epoch', 'link', 'sockets', 'auctions', 'outbox', 'last pulse'], owners)}
<h2>Groups</h2>${table(['group', 'state', 'term', 'committed', 'lag', 'open', 'auctions', 'outbox'], state)}
<h2>Recent reassignments</h2>${table(['ago', 'server', 'group', 'why', 'auctions', 'outbox', 'took'], moved)}</html>`
}

/** The same in a few lines of text. */
export function monitorLines({ monitorId, isActing, groups, recent, watched }: MonitorStatus): string[] {
  const lines = [`monitor ${monitorId}: ${isActing ? 'acts' : 'stands by'}`]
  for (const { groupId, owners } of groups) {
    const { lease } = owners ?? {}
    lines.push(
      `group ${groupId}: ${lease === undefined ? 'no lease' : `lease of ${lease.monitorId}, token ${lease.token}`}`,
    )
    for (const { serverId, standing, epoch, auctions, outboxEntries } of owners?.servers ?? []) {
      const link = watched.find((one) => one.serverId === serverId)?.state ?? 'no link'
      lines.push(
        `  ${serverId}  ${standing}  epoch ${epoch}  ${link}  ${auctions} auctions  ${outboxEntries} outbox entries`,
      )
    }
  }
  for (const { atMs, serverId, reason, auctions, tookMs } of recent)
    lines.push(
      `${new Date(atMs).toISOString()}  ${serverId}  ${reason}  ${auctions} auctions in ${tookMs} ms`,
    )
  return lines
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return '<p class="quiet">none</p>'
  const head = heads.map((one) => `<th>${one}</th>`).join('')
  const body = rows.map((row) => `<tr>${row.map((cell) => `<td>${cell}</td>`).join('')}</tr>`).join('')
  return `<div><table><tr>${head}</tr>${body}</table></div>`
}

function bad(words: string): string {
  return `<span class="bad">${words}</span>`
}

function seconds(ms: number): string {
  return `${(Math.max(0, ms) / 1000).toFixed(1)} s`
}

const escapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

function text(value: string): string {
  return value.replace(/[&<>"]/g, (one) => escapes[one] ?? one)
}
