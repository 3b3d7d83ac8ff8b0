/**
 * Certificates for tests of mutual TLS, made when they are asked for.
 *
 * Nothing but `node:crypto` makes them: keys of P-256, an authority, and certificates that it signs for given names.
 * Invariant: for tests only; no production code reads them, and no key outlives its process. Source: RFC 5280, 4.1;
 * ITU-T X.690 (DER).
 */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import type { TlsIdentity } from '../tcp.ts'

function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts)
  const length = body.length
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...head]), body])
}

const sequence = (...parts: readonly Uint8Array[]): Buffer => der(0x30, ...parts)
const text = (tag: number, value: string): Buffer => der(tag, Buffer.from(value))
/** The bytes of an object identifier, as its definition gives them. */
const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'))
const yes = der(0x01, Buffer.from([0xff]))

const ecdsaWithSha256 = sequence(oid('2a8648ce3d040302'))
const nameOf = (commonName: string): Buffer =>
  sequence(der(0x31, sequence(oid('550403'), text(0x0c, commonName))))
const timeOf = (ms: number): Buffer =>
  text(0x17, `${new Date(ms).toISOString().replace(/[-:T]/g, '').slice(2, 14)}Z`)
const extension = (id: string, isCritical: boolean, value: Uint8Array): Buffer =>
  sequence(oid(id), ...(isCritical ? [yes] : []), der(0x04, value))

export interface CertificateNames {
  readonly uris?: readonly string[]
  readonly hosts?: readonly string[]
  /** IPv4. */
  readonly addresses?: readonly string[]
  readonly commonName?: string
}

export class TestAuthority {
  readonly #name: string
  readonly #keys = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  readonly cert: string

  constructor(name: string) {
    this.#name = name
    const isAuthority = extension('551d13', true, sequence(yes))
    this.cert = this.#sign(name, this.#keys.publicKey, [isAuthority])
  }

  /** A certificate that holds for a day, with its key. */
  issue({ uris = [], hosts = [], addresses = [], commonName = 'test' }: CertificateNames): TlsIdentity {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const names = [
      ...hosts.map((host) => text(0x82, host)),
      ...uris.map((uri) => text(0x86, uri)),
      ...addresses.map((address) => der(0x87, Buffer.from(address.split('.').map(Number)))),
    ]
    const alternatives = extension('551d11', false, sequence(...names))
    const cert = this.#sign(commonName, publicKey, names.length === 0 ? [] : [alternatives])
    return { cert, key: String(privateKey.export({ type: 'pkcs8', format: 'pem' })), ca: this.cert }
  }

  #sign(subject: string, key: KeyObject, extensions: readonly Uint8Array[]): string {
    const nowMs = Date.now()
    const serial = Buffer.concat([Buffer.from([1]), randomBytes(15)])
    const body = sequence(
      der(0xa0, der(0x02, Buffer.from([2]))),
      der(0x02, serial),
      ecdsaWithSha256,
      nameOf(this.#name),
      sequence(timeOf(nowMs - 3_600_000), timeOf(nowMs + 86_400_000)),
      nameOf(subject),
      key.export({ type: 'spki', format: 'der' }),
      ...(extensions.length === 0 ? [] : [der(0xa3, sequence(...extensions))]),
    )
    const signature = sign('sha256', body, this.#keys.privateKey)
    const whole = sequence(body, ecdsaWithSha256, der(0x03, Buffer.from([0]), signature))
    const lines = whole.toString('base64').match(/.{1,64}/g) ?? []
    return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
  }
}

/** Grants every role under any name. */
export const anyPrincipal = ['state', 'server', 'monitor', 'tool'].map((kind) => `martillo:${kind}:*`)

const houseAuthority = new TestAuthority('house')
const otherAuthority = new TestAuthority('other')
const onLoopback = { hosts: ['localhost'], addresses: ['127.0.0.1'] }

/** `node` is signed by the house's authority, for 127.0.0.1; `intruder` by another. Both trust the house's. */
export function testIdentity(name: 'node' | 'intruder', uris: readonly string[] = anyPrincipal): TlsIdentity {
  const signer = name === 'node' ? houseAuthority : otherAuthority
  return { ...signer.issue({ ...onLoopback, uris }), ca: houseAuthority.cert }
}
