/**
 * Strangers on the ports of a cluster: link, peers, heartbeats and health.
 *
 * They greet without the secret, guess and replay proofs, hold connections open, and ask the health ports without a
 * token or under another name.
 *
 * Invariant: nothing is said to them but a greeting and a refusal, nothing is done for them, and the cluster serves on.
 * Source: spec PEER18, PEER21, HEALTH1, HEALTH2.
 */
import { request } from 'node:http'
import { connect, createServer, type Socket } from 'node:net'
import { FrameDecoder, frameParts } from '../../wire/frame.ts'
import { frameKinds } from '../../wire/kinds.ts'
import { packTuple } from '../../wire/tuples.ts'
import { TestCluster } from '../cluster.ts'
import { clusterEnv, martillo } from '../processes.ts'
import type { Station } from '../station.ts'
import type { Attack, Scene } from './attack.ts'

const heldOpen = 600

/** Sends the bytes; what comes back until the other side closes, or for 5 s. */
async function answersTo(port: number, bytes: Uint8Array): Promise<Buffer> {
  return await new Promise((resolve) => {
    const heard: Buffer[] = []
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    socket.setTimeout(5_000, () => socket.destroy())
    socket.on('data', (chunk: Buffer) => heard.push(chunk))
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(Buffer.concat(heard)))
  })
}

function kindsOf(heard: Buffer): string {
  const decoder = new FrameDecoder()
  decoder.push(heard)
  const kinds: number[] = []
  for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) kinds.push(frame.kind)
  return kinds.join()
}

const frame = (kind: number, ...parts: Uint8Array[]): Buffer => Buffer.concat(frameParts(kind, parts))
const greeting = (hasSecret: boolean): Buffer =>
  frame(frameKinds.greeting, packTuple(['martillo', 3, 3, new Uint8Array(32), hasSecret]))
const hello = (role: number): Buffer => {
  const fields = packTuple([role, '', role === 1 ? 2 : 0, 'x', '', '', ...(role === 1 ? [] : ['tool:x'])])
  return frame(frameKinds.hello, packTuple([fields, new Uint8Array()]))
}

/** What a tool that knows the secret sends, recorded on its way to the node. */
async function recorded(port: number): Promise<Buffer> {
  const sent: Buffer[] = []
  const between = createServer((client) => {
    const target = connect(port, '127.0.0.1')
    client.on('data', (chunk: Buffer) => {
      sent.push(chunk)
      target.write(chunk)
    })
    target.on('data', (chunk) => client.write(chunk))
    for (const socket of [client, target]) {
      socket.on('error', () => undefined)
      socket.on('close', () => {
        client.destroy()
        target.destroy()
      })
    }
  })
  await new Promise<void>((resolve) => between.listen(0, '127.0.0.1', resolve))
  const { port: own } = between.address() as { port: number }
  await martillo(['state', 'members', '--state', `127.0.0.1:${own}`])
  between.close()
  return Buffer.concat(sent)
}

async function play(scene: Scene, name: string, port: number): Promise<void> {
  const proof = (length: number): Buffer => frame(frameKinds.proof, new Uint8Array(length))
  const tries: Readonly<Record<string, Buffer>> = {
    'without a secret, as a link': Buffer.concat([greeting(false), proof(0), hello(2)]),
    'without a secret, as a peer': Buffer.concat([greeting(false), proof(0), hello(1)]),
    'with a guessed proof': Buffer.concat([greeting(true), proof(32), hello(2)]),
    'with a hello in place of the proof': Buffer.concat([greeting(true), hello(2)]),
    'with HTTP': Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
    nothing: Buffer.alloc(0),
  }
  for (const [how, bytes] of Object.entries(tries)) {
    const kinds = kindsOf(await answersTo(port, bytes))
    const isBare =
      kinds === `${frameKinds.greeting}` || kinds === `${frameKinds.greeting},${frameKinds.refusal}`
    scene.holds(`${name} says no more than greeting and refusal to a stranger ${how} (${kinds})`, isBare)
  }
}

async function status(url: string, path: string, headers: Record<string, string>): Promise<number> {
  return await new Promise((resolve, reject) => {
    request(new URL(path, url), { headers }, (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
      .on('error', reject)
      .end()
  })
}

export const attack: Attack = {
  point: 3,
  title: 'strangers on the link, peer, heartbeat and health ports',
  async run(scene) {
    const cluster = await TestCluster.open({ nodes: 1, servers: 1, monitors: 1 })
    scene.onEnd(() => cluster.close())
    const [node] = cluster.nodes as [Station]
    const [monitor] = cluster.monitors as [Station]
    for (const station of cluster.all)
      scene.watch(station.name, station.pid as number, () => station.isRunning)
    await play(scene, 'the node', node.port)
    await play(scene, 'the monitor', monitor.port)

    const replayed = kindsOf(await answersTo(node.port, await recorded(node.port)))
    const refused = `${frameKinds.greeting},${frameKinds.refusal}`
    scene.holds(`a replayed handshake is refused (${replayed})`, replayed === refused)

    const held: Socket[] = []
    for (let at = 0; at < heldOpen; at++) {
      const socket = connect(node.port, '127.0.0.1')
      socket.on('error', () => undefined)
      held.push(socket)
    }
    const members = await martillo(['state', 'members', '--state', cluster.stateNodes])
    scene.holds(`beside ${heldOpen} held connections a tool is served`, members.code === 0)
    for (const socket of held) socket.destroy()
    scene.fact('heldOpen', heldOpen)

    const token = { authorization: `Bearer ${clusterEnv.MARTILLO_HEALTH_TOKEN}` }
    for (const { name, healthUrl = '' } of [node, monitor]) {
      for (const path of name === node.name ? ['/status', '/backup'] : ['/status', '/']) {
        const codes = [
          await status(healthUrl, path, {}),
          await status(healthUrl, path, { authorization: 'Bearer guessed' }),
          await status(healthUrl, path, { ...token, host: 'evil.example' }),
          await status(healthUrl, path, token),
        ]
        scene.holds(
          `${name} ${path} takes its token under its own name (${codes.join()})`,
          codes.join() === '401,401,421,200',
        )
      }
    }
    const [server] = cluster.serverUrls
    scene.holds('the server still answers', await scene.answers(`${server}/readyz`))
  },
}
