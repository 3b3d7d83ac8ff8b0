/**
 * The cluster's own connections under mutual TLS, with real processes: nodes and a server whose certificates are of
 * one authority work together, through the loss of a leader. A process without a certificate, or with one of another
 * authority, is refused; both sides say why, and the cluster continues. The certificates are made here, by openssl.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RequestId } from '../protocol/ids.ts'
import { houseHttp, openSession } from './bidder.ts'
import { TestCluster } from './cluster.ts'
import {
  builtMain,
  clusterEnv,
  collect,
  freePort,
  hasTool,
  martillo,
  removeFolder,
  spawnMartillo,
  temporaryFolder,
  until,
} from './processes.ts'
import { Station } from './station.ts'

const tool = 'openssl'
const hasOpenssl = hasTool(tool, tool, ['version'])

const cleanUps: (() => unknown)[] = []
afterAll(async () => {
  for (const cleanUp of cleanUps.reverse()) await cleanUp()
})

const folder = temporaryFolder()
cleanUps.push(() => removeFolder(folder))
const file = (name: string): string => join(folder, name)

function openssl(...args: string[]): void {
  const { status, stderr } = spawnSync(tool, args, { cwd: folder })
  if (status !== 0) throw new Error(`openssl ${args.join(' ')}: ${stderr}`)
}

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

function makeAuthority(name: string): void {
  openssl(
    'req',
    '-x509',
    ...newKey,
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.pem`,
    '-days',
    '2',
    '-subj',
    `/CN=${name}`,
  )
}

function makeCertificate(name: string, authority: string): void {
  openssl('req', ...newKey, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`)
  const uris = ['state', 'server', 'tool'].map((role) => `URI:martillo:${role}:*`)
  writeFileSync(file('names'), `subjectAltName=${['IP:127.0.0.1', ...uris].join(',')}`)
  const signed = ['-CA', `${authority}.pem`, '-CAkey', `${authority}.key`, '-CAcreateserial', '-days', '2']
  openssl('x509', '-req', '-in', `${name}.csr`, ...signed, '-extfile', 'names', '-out', `${name}.pem`)
}

const tlsEnv = (name: string): NodeJS.ProcessEnv => ({
  MARTILLO_TLS_CERT_FILE: file(`${name}.pem`),
  MARTILLO_TLS_KEY_FILE: file(`${name}.key`),
  MARTILLO_TLS_CA_FILE: file('house.pem'),
})

const whyNot = 'do both sides use TLS, or neither, with certificates of one authority?'

describe.skipIf(!hasOpenssl)('mutual TLS between processes (left out where openssl is missing)', () => {
  let cluster: TestCluster
  let bids: (count: number) => Promise<void>

  beforeAll(async () => {
    makeAuthority('house')
    makeAuthority('other')
    makeCertificate('node', 'house')
    makeCertificate('stranger', 'other')
    cluster = await TestCluster.open({ nodes: 3, servers: 1, env: tlsEnv('node') })
    cleanUps.push(() => cluster.close())
    const url = (cluster.servers[0] as Station).url
    const operator = houseHttp(url, cluster.operatorToken())
    const terms = { title: 'A seal', tags: [], openingBid: 100, durationMs: 3_600_000 }
    const { id: auctionId } = await operator.createAuction(terms)
    const { token } = await operator.registerBuyer({ name: 'Anna', interests: [] })
    const session = openSession(url, token, 'json')
    cleanUps.push(() => session.close())
    let made = 0
    bids = async (count) => {
      for (const end = made + count; made < end; made++) {
        const bid = { auctionId, amount: 1_000 + made * 100, requestId: `bid-${made}` as RequestId }
        expect(await session.placeBid(bid)).toMatchObject({ type: 'bid_accepted' })
      }
    }
  })

  const nodesSay = (text: string) =>
    until(`a node says: ${text}`, () => cluster.nodes.some(({ log }) => log.includes(text)))

  test('PEER11 and LINK3: with certificates of one authority, nodes, server and tools work together', async () => {
    await bids(5)
    const members = await martillo(
      ['state', 'members', '--state', cluster.stateNodes, '--json'],
      tlsEnv('node'),
    )
    expect(members.stdout.match(/"role":"voter"/g)).toHaveLength(3)
    const settings = await martillo(['check-config', '--role', 'state', '--json'], {
      ...tlsEnv('node'),
      MARTILLO_NODE_ID: '1',
      MARTILLO_MEMBERS: '1=127.0.0.1:1',
    })
    for (const [name, value] of Object.entries(tlsEnv('node'))) {
      expect(settings.stdout).toMatch(new RegExp(`"variable":"${name}".*${value}`))
    }
  })

  for (const [who, env, nodeLine] of [
    ['without a certificate', () => ({}), 'it does not speak TLS'],
    ['of another authority', () => tlsEnv('stranger'), "its certificate is not of the house's authority"],
  ] as const) {
    test(`PEER11 and LINK3: a tool, a server and a node ${who} are refused, and learn why`, async () => {
      const asked = await martillo(['state', 'members', '--state', cluster.stateNodes], env())
      expect(asked.code).toBe(1)
      expect(asked.stderr).toContain(whyNot)

      const data = ['--data', join(folder, `server ${who}`)]
      const server = spawnMartillo(
        ['server', '--id', 'outsider', '--port', '0', '--state', cluster.stateNodes, ...data],
        env(),
      )
      cleanUps.push(() => server.kill('SIGKILL'))
      const output = collect(server)
      await until('the server learns why', () => output.stderr().includes(whyNot))
      server.kill('SIGKILL')
      expect((await output.exit).stdout).not.toContain('listening')

      const known = cluster.nodes.map(({ port }, at) => `${at + 1}=127.0.0.1:${port}`).join(',')
      const args = ['state', '--node-id', '9', '--join', '--members', known]
      const [port, dataDir] = [await freePort(), join(folder, `node ${who}`)]
      const node = new Station({
        name: 'outsider',
        argv: [builtMain(), ...args, '--port', String(port), '--data', dataDir, '--json'],
        env: { ...clusterEnv, ...env() },
        logFile: `${dataDir}.log`,
        dataDir,
        address: '127.0.0.1',
        port,
      })
      cleanUps.push(() => node.isRunning && node.kill())
      await node.start()
      await until('the node learns why', () => node.log.includes(whyNot))
      await nodesSay(nodeLine)
      expect(node.log).not.toContain('peer_up')
      await node.kill()
      await bids(5)
    })
  }

  test('PEER11: a client of TLS without a certificate is refused', async () => {
    const { port } = cluster.nodes[0] as Station
    const ca = readFileSync(file('house.pem'))
    const heard: Buffer[] = []
    await new Promise<void>((resolve) => {
      const socket = connect({ host: '127.0.0.1', port, ca })
      socket.on('data', (bytes) => heard.push(bytes))
      socket.on('error', () => undefined)
      socket.on('close', () => resolve())
    })
    expect(heard).toEqual([])
    const { log } = cluster.nodes[0] as Station
    // The same kind of fault is logged once in a while: another may have been before.
    expect(log).toContain('"code":"untrusted"')
  })

  test('PEER11 and NODE2: the cluster continues under TLS when its leader is lost', async () => {
    const leader = (await cluster.leader()) as Station
    await leader.kill()
    await bids(10)
    await leader.start()
    await cluster.untilEqual()
  })
})
