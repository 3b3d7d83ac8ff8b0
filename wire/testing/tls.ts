/**
 * Certificates for tests of mutual TLS.
 *
 * `node` is signed by the authority `house` and is for 127.0.0.1; `intruder` is signed by another authority. The keys
 * of the authorities were thrown away. Invariant: for tests only; no production code reads them.
 */
import { readFileSync } from 'node:fs'
import type { TlsIdentity } from '../tcp.ts'

function pem(name: string): string {
  return readFileSync(new URL(`../testdata/tls/${name}.pem`, import.meta.url), 'utf8')
}

export function testIdentity(name: 'node' | 'intruder'): TlsIdentity {
  return { cert: pem(`${name}.cert`), key: pem(`${name}.key`), ca: pem('house.cert') }
}
