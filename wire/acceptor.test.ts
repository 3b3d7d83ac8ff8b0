import { connect as netConnect, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { Acceptor, type AcceptorOptions } from './acceptor.ts'
import { Connection } from './connection.ts'
import type { TransportError } from './errors.ts'
import { frameParts } from './frame.ts'
import { encodeGreeting, type Hello } from './handshake.ts'
import { frameKinds } from './kinds.ts'
import { Newcomers } from './newcomers.ts'
import { newSecretText, parseSecrets } from './proof.ts'
import { type TcpOptions, tcpDial, tcpListen } from './tcp.ts'
import { helloOf, plainHandshake, quickLimits, until } from './testing/fixtures.ts'
import { testIdentity } from './testing/tls.ts'
import { systemTiming } from './timing.ts'

const closes: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closes.splice(0).reverse()) await close()
})

interface Scene {
  readonly acceptor: Acceptor
  readonly faults: string[]
  readonly opened: Hello[]
}

async function listen(tcp: TcpOptions = {}, changes: Partial<AcceptorOptions> = {}): Promise<Scene> {
  const faults: string[] = []
  const opened: Hello[] = []
  const acceptor = await Acceptor.open({
    listen: tcpListen(tcp),
    address: { host: '127.0.0.1', port: 0 },
    timing: systemTiming,
    limits: quickLimits,
    hello: helloOf('node', 1),
    owners: {
      peer: {
        admit: () => undefined,
        opened(_connection, theirs) {
          opened.push(theirs)
          return { frame: () => undefined, writable: () => undefined, closed: () => undefined }
        },
      },
    },
    connectionsMax: 3,
    failed: (cause) => faults.push(cause.code),
    ...changes,
  })
  closes.push(() => acceptor.close())
  return { acceptor, faults, opened }
}

/** Resolves with undefined once the connection is open for both, or with why it is not. */
async function dial({ acceptor, opened }: Scene, tcp: TcpOptions, hello: Hello): Promise<string | undefined> {
  const before = opened.length
  let end: TransportError | undefined
  let isOpen = false
  tcpDial(tcp)(acceptor.address, (stream) => {
    if (stream instanceof Error) {
      end = stream as TransportError
      return
    }
    const connection = new Connection({
      stream,
      timing: systemTiming,
      limits: quickLimits,
      hello,
      judge: () => undefined,
      opened() {
        isOpen = true
        return {
          frame: () => undefined,
          writable: () => undefined,
          closed: (cause) => {
            end = cause
          },
        }
      },
      failed: (cause) => {
        end = cause
      },
    })
    closes.push(() => connection.close())
  })
  await until(() => end !== undefined || (isOpen && opened.length > before))
  return end === undefined ? undefined : `${end.code}: ${end.message}`
}

/** A stranger's socket, and all that it hears. */
function stranger({ acceptor }: Scene, bytes: readonly Uint8Array[] = []) {
  const socket = netConnect({ host: '127.0.0.1', port: acceptor.address.port })
  const heard: Buffer[] = []
  socket.on('data', (chunk) => heard.push(chunk))
  socket.on('error', () => undefined)
  for (const part of bytes) socket.write(part)
  closes.push(() => socket.destroy())
  return { socket, heard: () => Buffer.concat(heard) }
}

const closed = async (socket: Socket): Promise<void> => {
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve))
}

describe('an acceptor', () => {
  const secrets = parseSecrets(newSecretText())

  it('PEER18: over TCP, with the secret in; without it out, and nothing heard but a greeting and a refusal', async () => {
    const scene = await listen({ secrets })
    expect(await dial(scene, { secrets }, helloOf('peer', 2))).toBeUndefined()
    expect(await dial(scene, {}, helloOf('peer', 2))).toMatch(/^refused: .*wrong_secret/)
    const others = parseSecrets(newSecretText())
    expect(await dial(scene, { secrets: others }, helloOf('peer', 2))).toMatch(/^refused: .*wrong_secret/)
    for (const greets of [true, false]) {
      const greeting = encodeGreeting(new Uint8Array(32), greets)
      const { socket, heard } = stranger(scene, [
        ...frameParts(frameKinds.greeting, [greeting]),
        ...frameParts(frameKinds.proof, [new Uint8Array(greets ? 32 : 0)]),
        ...plainHandshake('dialler', helloOf('peer', 2)).slice(2),
      ])
      await closed(socket)
      expect(heard().length).toBeGreaterThan(50)
      for (const known of ['cluster-1', 'instance-1', 'settings-1'])
        expect(heard().toString('latin1')).not.toContain(known)
    }
    expect(scene.opened).toHaveLength(1)
  })

  it('PEER20: over TLS, a certificate is good for the role and the name in its URI alone', async () => {
    const tls = testIdentity('node', ['martillo:state:1'])
    const scene = await listen({ tls })
    const as = (...uris: string[]) => dial(scene, { tls: testIdentity('node', uris) }, helloOf('peer', 2))
    expect(await as('martillo:state:2')).toBeUndefined()
    expect(await as('martillo:state:*')).toBeUndefined()
    for (const uris of [['martillo:state:3'], ['martillo:server:2'], ['state:2'], []]) {
      expect([uris, await as(...uris)]).toEqual([
        uris,
        expect.stringMatching(/^refused: .*wrong_certificate/),
      ])
    }
    expect(scene.opened).toHaveLength(2)
    // The dialler holds the acceptor to its certificate in the same way.
    const wrong = await listen({ tls: testIdentity('node', ['martillo:server:s1']) })
    const refused = await dial(wrong, { tls: testIdentity('node') }, helloOf('peer', 2))
    expect(refused).toMatch(/^refused 127.*wrong_certificate|^refused: refused 127.*wrong_certificate/)
  })

  it('PEER21: strangers that hold connections open make way for those that come, and keep nobody out', async () => {
    const scene = await listen({ secrets }, { newcomers: { inAllMax: 8, perAddressMax: 4 } })
    const holding = Array.from({ length: 40 }, () => stranger(scene))
    await until(() => scene.faults.filter((code) => code === 'displaced').length === 36)
    expect(scene.acceptor.connectionCount).toBe(4)
    expect(await dial(scene, { secrets }, helloOf('peer', 2))).toBeUndefined()
    expect(holding.filter(({ socket }) => !socket.closed).length).toBeLessThanOrEqual(4)
  })

  it('PEER21: open connections have a bound of their own; beyond it a side that may come learns so', async () => {
    const scene = await listen({ secrets })
    for (const nodeId of [2, 3, 4]) {
      expect(await dial(scene, { secrets }, helloOf('peer', nodeId))).toBeUndefined()
    }
    expect(await dial(scene, { secrets }, helloOf('peer', 5))).toMatch(/^refused: .*too_many_connections/)
  })

  it('PEER21: a handshake ends in time, however busily the stranger sends', async () => {
    const scene = await listen({ secrets }, { limits: { ...quickLimits, greetingMs: 150 } })
    const begun = performance.now()
    const greeting = frameParts(frameKinds.greeting, [encodeGreeting(new Uint8Array(32), true)])
    const { socket } = stranger(scene, greeting)
    const slow = Buffer.concat(frameParts(frameKinds.proof, [Buffer.alloc(3_000)]))
    let sent = 0
    const drip = setInterval(() => socket.write(slow.subarray(sent, ++sent)), 5)
    closes.push(() => clearInterval(drip))
    await closed(socket)
    expect(scene.faults).toEqual(['silent'])
    expect(performance.now() - begun).toBeGreaterThan(140)
  })

  it('PEER21: under TLS, connections without a handshake have the same bound', async () => {
    const scene = await listen({ tls: testIdentity('node') })
    const holding = Array.from({ length: 300 }, () => stranger(scene))
    await until(() => holding.filter(({ socket }) => socket.closed).length >= 44)
    expect(await dial(scene, { tls: testIdentity('node') }, helloOf('peer', 2))).toBeUndefined()
  })

  it('PEER21: the oldest makes way, of the address that has most or of all; a place is freed once', () => {
    const newcomers = new Newcomers({ inAllMax: 3, perAddressMax: 2 })
    const ended: string[] = []
    const add = (remote: string) => newcomers.add(remote, () => ended.push(remote))
    const leave = add('10.0.0.1:1')
    add('10.0.0.1:2')
    add('[::1]:9')
    add('10.0.0.1:3')
    expect(ended).toEqual(['10.0.0.1:1'])
    add('10.0.0.2:1')
    expect(ended).toEqual(['10.0.0.1:1', '10.0.0.1:2'])
    leave()
    leave()
    expect(newcomers.count).toBe(3)
    add('10.0.0.1:4')
    expect(ended.at(-1)).toBe('[::1]:9')
  })

  it('PEER22: an address that other machines reach is listened on with a secret or certificates, or not at all', async () => {
    for (const host of ['0.0.0.0', '::', '192.0.2.1', 'node-1.example']) {
      const listening = tcpListen()({ host, port: 0 }, () => undefined)
      await expect(listening).rejects.toMatchObject({
        code: 'unprotected',
        message: expect.stringMatching(/MARTILLO_CLUSTER_SECRET_FILE.*MARTILLO_TLS_CERT_FILE/),
      })
    }
    for (const tcp of [{ secrets }, { tls: testIdentity('node') }]) {
      const server = await tcpListen(tcp)({ host: '0.0.0.0', port: 0 }, () => undefined)
      await server.close()
    }
    for (const host of ['127.0.0.1', 'localhost']) {
      const server = await tcpListen()({ host, port: 0 }, () => undefined)
      await server.close()
    }
  })
})
