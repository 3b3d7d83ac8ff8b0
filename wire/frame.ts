/**
 * Frames over a stream of bytes: how long, a checksum, what kind, and the body.
 *
 *     0         4          8      9
 *     | crc32   | length   | kind | body …
 *
 * Big endian. `length` counts kind and body: 1 to the decoder's limit. `crc32` (as zlib's) covers everything
 * after itself, so a damaged length is found as well. Invariant: the decoder gives out exactly the frames
 * that were encoded, or throws; after it threw, the stream is lost and the connection must be closed.
 * `kinds.ts` lists the kinds. Source: docs/spec.md PEER6.
 */
import { crc32 } from '../runtime/checksum.ts'
import { TransportError } from './errors.ts'

/** Bytes before the body. */
export const frameHeaderBytes = 9
/** No frame is longer, kind and body together. Longer things are sent in pieces. */
export const frameBytesMax = 16 * 1024 * 1024

export interface Frame {
  readonly kind: number
  /** A view of what was received; copy what is kept for long. */
  readonly body: Uint8Array
}

/** The frame as parts for one write: a header of its own, then the given parts by reference. */
export function frameParts(kind: number, parts: readonly Uint8Array[]): Uint8Array[] {
  let length = 1
  for (const part of parts) length += part.length
  if (length > frameBytesMax) throw new TransportError('frame_too_large', `${length} bytes in one frame`)
  const header = Buffer.allocUnsafe(frameHeaderBytes)
  header.writeUInt32BE(length, 4)
  header[8] = kind
  let crc = crc32(header.subarray(4))
  for (const part of parts) crc = crc32(part, crc)
  header.writeUInt32BE(crc, 0)
  return [header, ...parts]
}

/**
 * Cuts a stream back into frames. A frame that lies in one chunk is given out as a view of it; one that spans
 * chunks is put together with one copy. Its memory is bounded by `bytesMax` and the last chunk.
 */
export class FrameDecoder {
  /** Longest frame that is accepted; small before the other side's hello. */
  bytesMax: number
  readonly #chunks: Uint8Array[] = []
  /** Bytes of the first chunk that were consumed. */
  #offset = 0
  #available = 0
  /** Bytes of the frame that is being waited for, header included; 0 when its header is not known. */
  #awaited = 0

  constructor(bytesMax: number = frameBytesMax) {
    this.bytesMax = bytesMax
  }

  /** Bytes received and not given out. */
  get bufferedBytes(): number {
    return this.#available
  }

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return
    this.#chunks.push(chunk)
    this.#available += chunk.length
  }

  /** The next whole frame, or `undefined` until more bytes come. Throws `frame_too_large`, `corrupt_frame`. */
  next(): Frame | undefined {
    if (this.#awaited === 0) {
      if (this.#available < frameHeaderBytes) return undefined
      const length = this.#peekLength()
      if (length < 1) throw new TransportError('corrupt_frame', 'a frame without a kind')
      if (length > this.bytesMax) {
        throw new TransportError(
          'frame_too_large',
          `a frame of ${length} bytes, at most ${this.bytesMax} may be`,
        )
      }
      this.#awaited = frameHeaderBytes - 1 + length
    }
    if (this.#available < this.#awaited) return undefined
    const bytes = this.#take(this.#awaited)
    this.#awaited = 0
    const expected = readUint32(bytes, 0)
    const found = crc32(bytes.subarray(4))
    if (expected !== found) {
      throw new TransportError(
        'corrupt_frame',
        `checksum ${hex(found)} where the frame says ${hex(expected)}`,
      )
    }
    return { kind: bytes[8] as number, body: bytes.subarray(frameHeaderBytes) }
  }

  #peekLength(): number {
    const first = this.#chunks[0] as Uint8Array
    if (first.length - this.#offset >= 8) return readUint32(first, this.#offset + 4)
    let value = 0
    let at = this.#offset
    let skip = 4
    let wanted = 4
    for (const chunk of this.#chunks) {
      for (; at < chunk.length && wanted > 0; at++) {
        if (skip > 0) skip--
        else {
          value = value * 256 + (chunk[at] as number)
          wanted--
        }
      }
      if (wanted === 0) break
      at = 0
    }
    return value
  }

  #take(count: number): Uint8Array {
    this.#available -= count
    const first = this.#chunks[0] as Uint8Array
    const end = this.#offset + count
    if (end <= first.length) {
      const view = first.subarray(this.#offset, end)
      this.#offset = end
      if (end === first.length) this.#dropFirst(1)
      return view
    }
    const whole = Buffer.allocUnsafeSlow(count)
    let filled = 0
    let used = 0
    for (const chunk of this.#chunks) {
      const part = chunk.subarray(this.#offset, this.#offset + count - filled)
      whole.set(part, filled)
      filled += part.length
      this.#offset += part.length
      if (this.#offset < chunk.length) break
      this.#offset = 0
      used++
      if (filled === count) break
    }
    this.#chunks.splice(0, used)
    return whole
  }

  #dropFirst(count: number): void {
    this.#chunks.splice(0, count)
    this.#offset = 0
  }
}

function readUint32(bytes: Uint8Array, at: number): number {
  const high = (bytes[at] as number) * 0x1000000
  return (
    high + (((bytes[at + 1] as number) << 16) | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number))
  )
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0')
}
