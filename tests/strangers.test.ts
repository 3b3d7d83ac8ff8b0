/**
 * Strangers at the ports of a cluster of real processes: without its secret nothing is said to them, and nothing done.
 */
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FrameDecoder, frameParts } from '../wire/frame.ts'
import { encodeGreeting, helloWithoutNode } from '../wire/handshake.ts'
import { frameKinds } from '../wire/kinds.ts'
import { helloOf, plainHandshake } from '../wire/testing/fixtures.ts'
import { TestCluster } from './cluster.ts'
import { clusterEnv, collect, freePort, martillo, spawnMartillo, until } from './processes.ts'
import type { Station } from './station.ts'

let cluster: TestCluster
const cleanUps: (() => unknown)[] = []

beforeAll(async () => {
  cluster = await TestCluster.open({ nodes: 1, servers: 1, monitors: 1 })
})

afterAll(async () => {
  for (const cleanUp of cleanUps.reverse()) await cleanUp()
  await cluster.close()
})

/** The kinds of the frames that come back before the other side closes. */
async function answersTo(
  port: number,
  bytes: readonly Uint8Array[],
): Promise<{ kinds: number[]; text: string }> {
  const decoder = new FrameDecoder()
  const heard: Buffer[] = []
  await new Promise<void>((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(Buffer.concat(bytes)))
    socket.on('data', (chunk: Buffer) => {
      heard.push(chunk)
      decoder.push(chunk)
    })
    socket.on('error', () => undefined)
    socket.on('close', () => resolve())
  })
  const kinds: number[] = []
  for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) kinds.push(frame.kind)
  return { kinds, text: Buffer.concat(heard).toString('latin1') }
}

const none: NodeJS.ProcessEnv = { MARTILLO_CLUSTER_SECRET: '' }
const another: NodeJS.ProcessEnv = { MARTILLO_CLUSTER_SECRET: 'x'.repeat(40) }

describe('strangers', () => {
  test('PEER18: on the link, peer and heartbeat ports nothing is said but greeting and refusal', async () => {
    const [nodePort, monitorPort] = [...cluster.nodes, ...cluster.monitors].map(({ port }) => port) as [
      number,
      number,
    ]
    const hellos = [
      ['link', nodePort, helloWithoutNode('link', { instance: 'x', principal: 'tool:x' })],
      ['peer', nodePort, helloOf('peer', 2)],
      ['heartbeat', monitorPort, helloWithoutNode('heartbeat', { instance: 'x', serverId: 'server-1' })],
    ] as const
    const greeting = frameParts(frameKinds.greeting, [encodeGreeting(new Uint8Array(32), true)])
    const { clusterId } = await clusterFacts()
    for (const [role, port, hello] of hellos) {
      const plain = plainHandshake('dialler', hello)
      const guessed = [...greeting, ...frameParts(frameKinds.proof, [new Uint8Array(32)]), ...plain.slice(4)]
      for (const bytes of [plain, guessed]) {
        const { kinds, text } = await answersTo(port, bytes)
        expect([role, kinds]).toEqual([role, [frameKinds.greeting, frameKinds.refusal]])
        expect(text).not.toContain(clusterId)
      }
    }
  })

  for (const [who, env] of [
    ['without the secret', none],
    ['with another secret', another],
  ] as const) {
    test(`PEER18: a tool and a server ${who} are refused, and learn what to do`, async () => {
      const asked = await martillo(['state', 'members', '--state', cluster.stateNodes], env)
      expect(asked.code).toBe(1)
      expect(asked.stderr).toContain('MARTILLO_CLUSTER_SECRET')
      expect(asked.stderr).not.toContain(clusterEnv.MARTILLO_CLUSTER_SECRET)
      const args = ['server', '--id', 'outsider', '--port', '0', '--state', cluster.stateNodes]
      const server = spawnMartillo([...args, '--data', join(cluster.folder, `outsider ${who}`)], env)
      cleanUps.push(() => server.kill('SIGKILL'))
      const output = collect(server)
      await until('it learns why', () => output.stderr().includes('MARTILLO_CLUSTER_SECRET'))
      expect(output.stdout()).not.toContain('listening')
      server.kill('SIGKILL')
      await output.exit
    })
  }

  test('PEER19: with (another, ours) or (ours, another) a tool still works, with the secret from a file too', async () => {
    const ours = clusterEnv.MARTILLO_CLUSTER_SECRET
    const members = (env: NodeJS.ProcessEnv) =>
      martillo(['state', 'members', '--state', cluster.stateNodes], env)
    expect(await members({ MARTILLO_CLUSTER_SECRET: `${ours},${'x'.repeat(40)}` })).toMatchObject({ code: 0 })
    expect(await members({ MARTILLO_CLUSTER_SECRET: `${'x'.repeat(40)},${ours}` })).toMatchObject({ code: 1 })
    const file = join(cluster.folder, 'new.secret')
    expect(await martillo(['cluster-secret', '--file', file])).toMatchObject({ code: 0 })
    expect(await martillo(['cluster-secret', '--file', file])).toMatchObject({ code: 1 })
    const env = { MARTILLO_CLUSTER_SECRET: '', MARTILLO_CLUSTER_SECRET_FILE: file }
    expect((await members(env)).stderr).toContain('wrong_secret')
  })

  test('PEER22: no process listens where other machines reach it without a secret or certificates', async () => {
    const port = String(await freePort())
    const node = ['state', '--node-id', '1', '--members', `1=127.0.0.1:${port}`]
    const monitor = ['monitor', '--state', cluster.stateNodes]
    for (const args of [node, monitor]) {
      const data = ['--data', join(cluster.folder, `open ${args[0]}`)]
      const ended = await martillo([...args, '--host', '0.0.0.0', '--port', port, ...data], {
        ...none,
      })
      expect([args[0], ended.code]).toEqual([args[0], 1])
      expect(ended.stderr).toMatch(/MARTILLO_CLUSTER_SECRET/)
    }
  })
})

async function clusterFacts(): Promise<{ readonly clusterId: string }> {
  const status = await cluster.statusOf(cluster.nodes[0] as Station)
  return status as unknown as { readonly clusterId: string }
}
