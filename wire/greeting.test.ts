import { describe, expect, it } from 'vitest'
import { principalsOf } from './certificate.ts'
import { Greeting, type GreetingStep } from './greeting.ts'
import { encodeGreeting, type Hello } from './handshake.ts'
import { type FrameKind, frameKinds } from './kinds.ts'
import { type ClusterSecret, newSecretText, parseSecrets, proofOf } from './proof.ts'
import type { Trust } from './stream.ts'
import { helloOf } from './testing/fixtures.ts'
import { packTuple, unpackTuple } from './tuples.ts'

const [ours] = parseSecrets('the secret of this cluster: 32 bytes') as [ClusterSecret]
const [other] = parseSecrets('another secret of 32 bytes: or more') as [ClusterSecret]

interface Said {
  readonly kind: FrameKind
  readonly body: Uint8Array
}

/** One side, whose frames a test carries by hand. */
class Side {
  readonly said: Said[] = []
  readonly greeting: Greeting
  readonly name: string

  constructor(isDialled: boolean, trust: Trust, hello: Hello = helloOf(isDialled ? 'peer' : 'node', 1)) {
    this.name = isDialled ? 'dialler' : 'acceptor'
    this.greeting = new Greeting({
      stream: { isDialled, trust },
      hello,
      nonce: Uint8Array.from({ length: 32 }, () => Math.floor(Math.random() * 256)),
      judge: () => undefined,
      say: (kind, body) => this.said.push({ kind, body }),
    })
  }

  hear({ kind, body }: Said): GreetingStep {
    return this.greeting.receive(kind, body)
  }
}

/** Carries frames until neither side says more; what each side came to. */
function meet(dialler: Side, acceptor: Side): { dialler: GreetingStep; acceptor: GreetingStep } {
  const ends: { dialler: GreetingStep; acceptor: GreetingStep } = { dialler: undefined, acceptor: undefined }
  const heard = { dialler: 0, acceptor: 0 }
  for (let moved = true; moved; ) {
    moved = false
    for (const [from, to, key] of [
      [dialler, acceptor, 'acceptor'],
      [acceptor, dialler, 'dialler'],
    ] as const) {
      const frame = from.said[heard[key]]
      if (frame === undefined || ends[key] !== undefined) continue
      heard[key]++
      moved = true
      ends[key] = to.hear(frame)
    }
  }
  return ends
}

const withSecrets = (...secrets: ClusterSecret[]): Trust => ({ secrets })
const refusedFor = (code: string) => ({ refusal: { code, reason: expect.any(String) } })

describe('the cluster secret', () => {
  it('PEER18: with one secret both sides prove it and learn who the other is', () => {
    const dialler = new Side(true, withSecrets(ours), helloOf('peer', 1))
    const acceptor = new Side(false, withSecrets(ours), helloOf('node', 2))
    const ends = meet(dialler, acceptor)
    expect(ends.dialler).toEqual({ theirs: helloOf('node', 2) })
    expect(ends.acceptor).toEqual({ theirs: helloOf('peer', 1) })
    const travelled = [...dialler.said, ...acceptor.said].map(({ body }) =>
      Buffer.from(body).toString('latin1'),
    )
    expect(travelled.join('')).not.toContain(Buffer.from(ours).toString('latin1'))
  })

  it('PEER18: without it, with another, and where one side has none, each is refused by both roles', () => {
    for (const [left, right] of [
      [withSecrets(other), withSecrets(ours)],
      [withSecrets(), withSecrets(ours)],
      [withSecrets(ours), withSecrets()],
    ] as const) {
      const ends = meet(new Side(true, left), new Side(false, right))
      expect(ends.acceptor).toEqual(refusedFor('wrong_secret'))
      expect(ends.dialler === undefined || 'refusal' in ends.dialler).toBe(true)
    }
  })

  it('PEER18: nothing but random bytes and versions is said before the other side has proved the secret', () => {
    const acceptor = new Side(false, withSecrets(ours))
    acceptor.hear({ kind: frameKinds.greeting, body: encodeGreeting(new Uint8Array(32), true) })
    expect(acceptor.said.map(({ kind }) => kind)).toEqual([frameKinds.greeting])
    expect(unpackTuple((acceptor.said[0] as Said).body)).toEqual([
      'martillo',
      3,
      3,
      expect.any(Uint8Array),
      true,
    ])
    const guess = acceptor.hear({ kind: frameKinds.proof, body: new Uint8Array(32) })
    expect(guess).toEqual(refusedFor('wrong_secret'))
    const dialler = new Side(true, withSecrets(ours))
    dialler.hear({ kind: frameKinds.greeting, body: encodeGreeting(new Uint8Array(32), true) })
    expect(dialler.said.map(({ kind, body }) => [kind, kind === frameKinds.proof ? body.length : 0])).toEqual(
      [
        [frameKinds.greeting, 0],
        [frameKinds.proof, 32],
      ],
    )
    const forged = packTuple([new Uint8Array(40), new Uint8Array(32)])
    expect(dialler.hear({ kind: frameKinds.hello, body: forged })).toEqual(refusedFor('wrong_secret'))
    expect(dialler.greeting.isProved).toBe(false)
  })

  it('PEER18: a hello in place of the proof, a skipped frame or a repeated one is malformed', () => {
    const greeting = { kind: frameKinds.greeting, body: encodeGreeting(new Uint8Array(32), true) }
    const acceptor = new Side(false, withSecrets(ours))
    expect(() => acceptor.hear({ kind: frameKinds.hello, body: packTuple([1]) })).toThrow('no greeting')
    acceptor.hear(greeting)
    expect(() => acceptor.hear(greeting)).toThrow('no proof')
    expect(() => acceptor.hear({ kind: frameKinds.hello, body: packTuple([1]) })).toThrow('no proof')
    const dialler = new Side(true, withSecrets(ours))
    dialler.hear(greeting)
    expect(() => dialler.hear({ kind: frameKinds.proof, body: new Uint8Array(32) })).toThrow('no hello')
  })

  it('PEER18: what was recorded from one handshake proves nothing in another', () => {
    const recorded = new Side(true, withSecrets(ours))
    meet(recorded, new Side(false, withSecrets(ours)))
    const acceptor = new Side(false, withSecrets(ours))
    const steps = recorded.said.map((frame) => {
      try {
        return acceptor.hear(frame)
      } catch {
        return 'malformed'
      }
    })
    expect(steps[1]).toEqual(refusedFor('wrong_secret'))
    expect(acceptor.said.map(({ kind }) => kind)).toEqual([frameKinds.greeting])
  })

  it("PEER18: a side's own proof, sent back to it, proves nothing", () => {
    const dialler = new Side(true, withSecrets(ours))
    // The stranger accepts with the dialler's own random bytes.
    dialler.hear(dialler.said[0] as Said)
    const [, proof] = dialler.said as [Said, Said]
    const hello = packTuple([packTuple([3, '', 2, 'x', '', '']), proof.body])
    expect(dialler.hear({ kind: frameKinds.hello, body: hello })).toEqual(refusedFor('wrong_secret'))
  })

  it('PEER18: who it is, for what and under which version is bound to the proof', () => {
    const tampered = (change: (frame: Said, at: number) => Said) => {
      const dialler = new Side(true, withSecrets(ours))
      const acceptor = new Side(false, withSecrets(ours))
      for (const frame of acceptor.said) dialler.hear(frame)
      acceptor.hear(change(dialler.said[0] as Said, 0))
      const proved = acceptor.hear(change(dialler.said[1] as Said, 1))
      if (proved !== undefined) return proved
      dialler.hear(acceptor.said[1] as Said)
      return acceptor.hear(change(dialler.said[2] as Said, 2))
    }
    expect(tampered((frame) => frame)).toMatchObject({ theirs: { role: 'peer' } })
    const older = (frame: Said, at: number): Said =>
      at === 0 ? { ...frame, body: changed(frame.body, 1, 2) } : frame
    expect(tampered(older)).toEqual(refusedFor('wrong_secret'))
    for (let byte = 0; byte < 60; byte++) {
      const step = tampered((frame, at) => (at === 2 ? { ...frame, body: flipped(frame.body, byte) } : frame))
      expect(step).toEqual(refusedFor('wrong_secret'))
    }
  })

  it('PEER18: proofs of different labels, greetings and hellos all differ', () => {
    const greetings = { dialler: Buffer.from('ab'), acceptor: Buffer.from('c') }
    const shifted = { dialler: Buffer.from('a'), acceptor: Buffer.from('bc') }
    const proofs = [
      proofOf(ours, 'dialler proof', greetings),
      proofOf(ours, 'dialler hello', greetings),
      proofOf(ours, 'acceptor hello', greetings),
      proofOf(ours, 'dialler proof', shifted),
      proofOf(ours, 'dialler proof', greetings, Buffer.from('h')),
      proofOf(other, 'dialler proof', greetings),
    ].map((proof) => Buffer.from(proof).toString('hex'))
    expect(new Set(proofs).size).toBe(proofs.length)
  })

  it('PEER18: a secret has 32 bytes at least; a fault never repeats it', () => {
    expect(parseSecrets(newSecretText())).toHaveLength(1)
    expect(newSecretText()).not.toBe(newSecretText())
    for (const text of [
      '',
      '\n',
      'swordfish',
      `${newSecretText()},short`,
      [1, 2, 3].map(() => newSecretText()).join(),
    ]) {
      expect(() => parseSecrets(text)).toThrow(RangeError)
    }
    expect(() => parseSecrets('swordfish')).toThrow(/^(?!.*swordfish)/)
  })

  it('PEER19: while a secret is changed, each step of a rolling change talks to its neighbours', () => {
    const steps = [[ours], [ours, other], [other, ours], [other]] as const
    for (const [at, mine] of steps.entries()) {
      for (const [beside, theirs] of steps.entries()) {
        const ends = meet(new Side(true, withSecrets(...mine)), new Side(false, withSecrets(...theirs)))
        const isMet = ends.dialler !== undefined && 'theirs' in ends.dialler
        if (Math.abs(at - beside) <= 1) expect([at, beside, isMet]).toEqual([at, beside, true])
      }
    }
    const apart = meet(new Side(true, withSecrets(ours)), new Side(false, withSecrets(other)))
    expect(apart.acceptor).toEqual(refusedFor('wrong_secret'))
  })
})

describe('certificates', () => {
  const under = (principals: readonly string[], theirs: Hello): GreetingStep =>
    meet(new Side(true, withSecrets(), theirs), new Side(false, { secrets: [], principals })).acceptor

  it('PEER20: a side is only who its certificate says, by role and by name', () => {
    expect(under(['state:3'], helloOf('peer', 3))).toMatchObject({ theirs: { nodeId: 3 } })
    expect(under(['state:*'], helloOf('peer', 9))).toMatchObject({ theirs: { nodeId: 9 } })
    expect(under(['server:s1', 'tool:ops'], helloOf('link', 0, { principal: 'tool:ops' }))).toHaveProperty(
      'theirs',
    )
    const cases: readonly (readonly [readonly string[], Hello])[] = [
      [[], helloOf('peer', 3)],
      [['state:33'], helloOf('peer', 3)],
      [['server:3', 'server:*'], helloOf('peer', 3)],
      [['state:*'], helloOf('link', 0, { principal: 'server:s1' })],
      [['server:s1'], helloOf('link', 0, { principal: 'tool:s1' })],
      [['server:s1'], helloOf('heartbeat', 0, { serverId: 's2' })],
      [['server:s1'], helloOf('heartbeat', 0)],
    ]
    for (const [principals, theirs] of cases) {
      expect([theirs, under(principals, theirs)]).toEqual([theirs, refusedFor('wrong_certificate')])
    }
  })

  it('PEER20: only whole URI entries of the alternative names count', () => {
    expect(
      principalsOf('IP Address:127.0.0.1, URI:martillo:state:1, DNS:node-1, URI:https://x.example'),
    ).toEqual(['state:1'])
    expect(principalsOf('URI:martillo:server:a, URI:martillo:tool:*')).toEqual(['server:a', 'tool:*'])
    expect(principalsOf('DNS:"node, URI:martillo:state:1"')).toEqual([])
    expect(principalsOf('DNS:martillo:state:1')).toEqual([])
    expect(principalsOf('URI:"martillo:state:1, URI:martillo:state:2"')).toEqual([])
    expect(principalsOf('')).toEqual([])
    expect(principalsOf('URI:martillo:state:1, garbage')).toEqual([])
  })
})

function changed(body: Uint8Array, field: number, value: unknown): Uint8Array {
  return packTuple(unpackTuple(body).map((old, at) => (at === field ? value : old)))
}

/** The frame of a hello with one bit of the hello changed. */
function flipped(body: Uint8Array, at: number): Uint8Array {
  const [hello, proof] = unpackTuple(body) as [Uint8Array, Uint8Array]
  const copy = Uint8Array.from(hello)
  copy[at % copy.length] = (copy[at % copy.length] as number) ^ 1
  return packTuple([copy, proof])
}
