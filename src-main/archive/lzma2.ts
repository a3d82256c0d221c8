/**
 * LZMA2 decoder, for the .xz container.
 *
 * Theory of operation. An LZMA2 stream is a row of chunks, each with a header that says how many bytes it packs (at most 64 KiB) into how
 * many (at most 2 MiB), so a whole packed chunk is at hand before its first symbol is decoded and the hot loop never has to wait for
 * input. A chunk is either stored or LZMA: a range coder (a number `code` within `range`; every adaptive 11-bit probability splits the range)
 * over literals, matches and repeats of the last four distances. Output goes into a linear window that holds at least the dictionary before
 * the write position; when the window is full, the dictionary slides to its start.
 *
 * The loop keeps everything in local variables and spells every bit out, because calls and fields cost most of the time here. All
 * 32-bit quantities are kept as JavaScript int32 and compared after `>>> 0`.
 *
 * Sources: LZMA specification (lzma-specification.txt, LZMA SDK), the .xz file format 1.1.0 section 5.3.1, and the LZMA2 chunk
 * layout as documented in the SDK's Lzma2Dec.
 */
import { AppError } from '../../src-shared/errors/app-error.ts'
import { take, type Parser } from './chunk-parser.ts'

/** Largest dictionary accepted, bytes: that of `xz -9`. */
export const MAX_DICTIONARY = 64 * 1024 * 1024
/** A chunk packs at most this many bytes into at most CHUNK_UNPACKED (16-bit and 21-bit fields). */
const CHUNK_PACKED = 65_536
const CHUNK_UNPACKED = 2 * 1024 * 1024
/** One symbol consumes less than this, so that checking once per symbol is enough. */
const INPUT_SLACK = 64

// Layout of the probabilities, as offsets into one array.
const STATES = 12
const IS_MATCH = 0 // [state << 4 | posState]
const IS_REP = IS_MATCH + (STATES << 4)
const IS_REP_G0 = IS_REP + STATES
const IS_REP_G1 = IS_REP_G0 + STATES
const IS_REP_G2 = IS_REP_G1 + STATES
const IS_REP0_LONG = IS_REP_G2 + STATES // [state << 4 | posState]
const POS_SLOT = IS_REP0_LONG + (STATES << 4) // [lenState << 6 | node]
const POS_SPECIAL = POS_SLOT + 256
const ALIGN = POS_SPECIAL + 128
const LENGTH = ALIGN + 16
// Inside a length coder.
const CHOICE = 0
const CHOICE_2 = 1
const LOW = 2
const MID = LOW + 128
const HIGH = MID + 128
const LENGTH_SIZE = HIGH + 256
const REP_LENGTH = LENGTH + LENGTH_SIZE
const LITERAL = REP_LENGTH + LENGTH_SIZE
/** LZMA2 keeps lc + lp at 4 or less. */
const PROBS = LITERAL + (0x300 << 4)
const PROB_INIT = 1024

function corrupt(what: string): AppError {
  return new AppError('corrupt', `The compressed data is damaged: ${what}.`)
}

/** Decodes one LZMA2 stream; `onOutput` gets views that are valid during the call only. */
export class Lzma2Decoder {
  #dictionary: number
  #window: Uint8Array
  #onOutput: (bytes: Uint8Array) => void
  #probs = new Uint16Array(PROBS)
  #input = new Uint8Array(CHUNK_PACKED + INPUT_SLACK)
  /** Write position in the window. */
  #at = 0
  /** Bytes before `#at` that a distance may reach. */
  #reach = 0
  /** Bytes since the last dictionary reset, modulo 2^32: the position bits of the probabilities count from there. */
  #position = 0
  #state = 0
  #rep0 = 0
  #rep1 = 0
  #rep2 = 0
  #rep3 = 0
  #lc = 0
  #lp = 0
  #pb = 0

  /** @param dictionary bytes, as the container says; AppError `unsupported` above MAX_DICTIONARY */
  constructor(dictionary: number, onOutput: (bytes: Uint8Array) => void) {
    if (dictionary > MAX_DICTIONARY)
      throw new AppError('unsupported', `The data needs a dictionary of ${dictionary} bytes; at most ${MAX_DICTIONARY} are accepted.`)
    this.#dictionary = dictionary
    this.#window = new Uint8Array(CHUNK_PACKED)
    this.#onOutput = onOutput
  }

  /** Reads chunks to the end marker. Answers the number of packed bytes consumed. */
  *parse(): Parser<number> {
    let packed = 0
    let needDictionaryReset = true
    let needProperties = true
    for (;;) {
      const control = (yield* take(1, 'a compressed block'))[0]!
      packed++
      if (control === 0) return packed
      if (control >= 0xe0 || control === 1) {
        this.#reach = 0
        this.#position = 0
        needDictionaryReset = false
        needProperties = true
      } else if (needDictionaryReset) throw corrupt('the first chunk does not reset the dictionary')
      if (control < 0x80) {
        if (control > 2) throw corrupt(`unknown chunk type ${control}`)
        const header = yield* take(2, 'a chunk header')
        const length = ((header[0]! << 8) | header[1]!) + 1
        this.#reserve(length)
        this.#store(yield* take(length, 'a stored chunk'))
        packed += 2 + length
        continue
      }
      const header = yield* take(4, 'a chunk header')
      const unpackedLength = (((control & 0x1f) << 16) | (header[0]! << 8) | header[1]!) + 1
      const packedLength = ((header[2]! << 8) | header[3]!) + 1
      packed += 4 + packedLength
      if (control >= 0xc0) {
        this.#setProperties((yield* take(1, 'a chunk header'))[0]!)
        packed++
        needProperties = false
      } else if (needProperties) throw corrupt('the first packed chunk has no properties')
      if (control >= 0xa0) this.#resetState()
      this.#input.set(yield* take(packedLength, 'a packed chunk'))
      this.#reserve(unpackedLength)
      const start = this.#at
      this.#decode(packedLength, start + unpackedLength)
      this.#onOutput(this.#window.subarray(start, this.#at))
    }
  }

  #setProperties(byte: number): void {
    if (byte >= 9 * 5 * 5) throw corrupt('its properties are out of range')
    this.#lc = byte % 9
    this.#lp = Math.floor(byte / 9) % 5
    this.#pb = Math.floor(byte / 45)
    if (this.#lc + this.#lp > 4) throw corrupt('its properties are out of range')
  }

  #resetState(): void {
    this.#probs.fill(PROB_INIT)
    this.#state = 0
    this.#rep0 = this.#rep1 = this.#rep2 = this.#rep3 = 0
  }

  /** Makes room for `length` more bytes, keeping the dictionary. The window grows with the data, up to its full size. */
  #reserve(length: number): void {
    const needed = this.#at + length
    if (needed <= this.#window.length) return
    // Beyond the dictionary, room to go on for a while between two slides.
    const full = this.#dictionary + Math.max(CHUNK_UNPACKED, Math.min(this.#dictionary, 4 * CHUNK_UNPACKED))
    if (this.#window.length < full && needed <= full) {
      const larger = new Uint8Array(Math.min(full, Math.max(2 * this.#window.length, needed)))
      larger.set(this.#window.subarray(0, this.#at))
      this.#window = larger
      return
    }
    const kept = Math.min(this.#at, this.#dictionary)
    this.#window.copyWithin(0, this.#at - kept, this.#at)
    this.#at = kept
    if (kept + length > this.#window.length) this.#reserve(length)
  }

  #store(bytes: Uint8Array): void {
    this.#window.set(bytes, this.#at)
    this.#onOutput(this.#window.subarray(this.#at, this.#at + bytes.length))
    this.#at += bytes.length
    this.#position = (this.#position + bytes.length) | 0
    this.#reach = Math.min(this.#reach + bytes.length, this.#dictionary)
  }

  /** Decodes a chunk of `packedLength` bytes in #input up to window position `end`. */
  #decode(packedLength: number, end: number): void {
    const probs = this.#probs
    const input = this.#input
    const window = this.#window
    const lc = this.#lc
    const lpMask = (1 << this.#lp) - 1
    const pbMask = (1 << this.#pb) - 1
    const start = this.#at
    /** Lowest window position that a distance may reach at `start`; the dictionary size is checked beside it. */
    const floor = start - this.#reach
    const dictionary = this.#dictionary
    const bias = (this.#position - start) | 0
    let at = start
    let state = this.#state
    let rep0 = this.#rep0
    let rep1 = this.#rep1
    let rep2 = this.#rep2
    let rep3 = this.#rep3
    let range = -1
    let code = (input[1]! << 24) | (input[2]! << 16) | (input[3]! << 8) | input[4]!
    let next = 5
    if (packedLength < 5 || input[0] !== 0) throw corrupt('a chunk starts wrongly')
    let bound: number
    let p: number
    let node: number

    while (at < end) {
      if (next > packedLength) throw corrupt('a chunk ends too early')
      const posState = (at + bias) & pbMask
      // Is it a match?
      node = IS_MATCH + (state << 4) + posState
      p = probs[node]!
      bound = Math.imul(range >>> 11, p)
      if (code >>> 0 < bound >>> 0) {
        range = bound
        probs[node] = p + ((2048 - p) >> 5)
        if (range >>> 24 === 0) {
          range <<= 8
          code = (code << 8) | input[next++]!
        }
        // A literal.
        const previous = at > floor ? window[at - 1]! : 0
        const base = LITERAL + Math.imul(0x300, ((((at + bias) & lpMask) << lc) + (previous >> (8 - lc))) | 0)
        let symbol = 1
        if (state >= 7) {
          // After a match: the byte at rep0 predicts this one, until the first bit that differs.
          let match = window[at - rep0 - 1]!
          do {
            const matchBit = (match >> 7) & 1
            match <<= 1
            node = base + ((1 + matchBit) << 8) + symbol
            p = probs[node]!
            bound = Math.imul(range >>> 11, p)
            if (code >>> 0 < bound >>> 0) {
              range = bound
              probs[node] = p + ((2048 - p) >> 5)
              symbol <<= 1
              if (range >>> 24 === 0) {
                range <<= 8
                code = (code << 8) | input[next++]!
              }
              if (matchBit !== 0) break
            } else {
              range = (range - bound) | 0
              code = (code - bound) | 0
              probs[node] = p - (p >> 5)
              symbol = (symbol << 1) | 1
              if (range >>> 24 === 0) {
                range <<= 8
                code = (code << 8) | input[next++]!
              }
              if (matchBit === 0) break
            }
          } while (symbol < 0x100)
        }
        while (symbol < 0x100) {
          node = base + symbol
          p = probs[node]!
          bound = Math.imul(range >>> 11, p)
          if (code >>> 0 < bound >>> 0) {
            range = bound
            probs[node] = p + ((2048 - p) >> 5)
            symbol <<= 1
          } else {
            range = (range - bound) | 0
            code = (code - bound) | 0
            probs[node] = p - (p >> 5)
            symbol = (symbol << 1) | 1
          }
          if (range >>> 24 === 0) {
            range <<= 8
            code = (code << 8) | input[next++]!
          }
        }
        window[at++] = symbol
        state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6
        continue
      }
      range = (range - bound) | 0
      code = (code - bound) | 0
      probs[node] = p - (p >> 5)
      if (range >>> 24 === 0) {
        range <<= 8
        code = (code << 8) | input[next++]!
      }

      // A match or a repeat?
      let lengthBase = LENGTH
      let isRepeat = false
      node = IS_REP + state
      p = probs[node]!
      bound = Math.imul(range >>> 11, p)
      if (code >>> 0 < bound >>> 0) {
        range = bound
        probs[node] = p + ((2048 - p) >> 5)
        if (range >>> 24 === 0) {
          range <<= 8
          code = (code << 8) | input[next++]!
        }
        rep3 = rep2
        rep2 = rep1
        rep1 = rep0
      } else {
        range = (range - bound) | 0
        code = (code - bound) | 0
        probs[node] = p - (p >> 5)
        if (range >>> 24 === 0) {
          range <<= 8
          code = (code << 8) | input[next++]!
        }
        isRepeat = true
        lengthBase = REP_LENGTH
        node = IS_REP_G0 + state
        p = probs[node]!
        bound = Math.imul(range >>> 11, p)
        if (code >>> 0 < bound >>> 0) {
          range = bound
          probs[node] = p + ((2048 - p) >> 5)
          if (range >>> 24 === 0) {
            range <<= 8
            code = (code << 8) | input[next++]!
          }
          node = IS_REP0_LONG + (state << 4) + posState
          p = probs[node]!
          bound = Math.imul(range >>> 11, p)
          if (code >>> 0 < bound >>> 0) {
            range = bound
            probs[node] = p + ((2048 - p) >> 5)
            if (range >>> 24 === 0) {
              range <<= 8
              code = (code << 8) | input[next++]!
            }
            // A short repeat: one byte from rep0.
            if (at - rep0 - 1 < floor || rep0 >= dictionary) throw corrupt('a distance reaches before the start')
            window[at] = window[at - rep0 - 1]!
            at++
            state = state < 7 ? 9 : 11
            continue
          }
          range = (range - bound) | 0
          code = (code - bound) | 0
          probs[node] = p - (p >> 5)
          if (range >>> 24 === 0) {
            range <<= 8
            code = (code << 8) | input[next++]!
          }
        } else {
          range = (range - bound) | 0
          code = (code - bound) | 0
          probs[node] = p - (p >> 5)
          if (range >>> 24 === 0) {
            range <<= 8
            code = (code << 8) | input[next++]!
          }
          let distance = rep1
          node = IS_REP_G1 + state
          p = probs[node]!
          bound = Math.imul(range >>> 11, p)
          if (code >>> 0 < bound >>> 0) {
            range = bound
            probs[node] = p + ((2048 - p) >> 5)
          } else {
            range = (range - bound) | 0
            code = (code - bound) | 0
            probs[node] = p - (p >> 5)
            if (range >>> 24 === 0) {
              range <<= 8
              code = (code << 8) | input[next++]!
            }
            node = IS_REP_G2 + state
            p = probs[node]!
            bound = Math.imul(range >>> 11, p)
            if (code >>> 0 < bound >>> 0) {
              range = bound
              probs[node] = p + ((2048 - p) >> 5)
              distance = rep2
            } else {
              range = (range - bound) | 0
              code = (code - bound) | 0
              probs[node] = p - (p >> 5)
              distance = rep3
              rep3 = rep2
            }
            rep2 = rep1
          }
          if (range >>> 24 === 0) {
            range <<= 8
            code = (code << 8) | input[next++]!
          }
          rep1 = rep0
          rep0 = distance
        }
      }

      // The length: 2–9, 10–17 or 18–273.
      let tree = lengthBase + LOW + (posState << 3)
      let limit = 8
      let length = 2
      node = lengthBase + CHOICE
      p = probs[node]!
      bound = Math.imul(range >>> 11, p)
      if (code >>> 0 < bound >>> 0) {
        range = bound
        probs[node] = p + ((2048 - p) >> 5)
      } else {
        range = (range - bound) | 0
        code = (code - bound) | 0
        probs[node] = p - (p >> 5)
        if (range >>> 24 === 0) {
          range <<= 8
          code = (code << 8) | input[next++]!
        }
        node = lengthBase + CHOICE_2
        p = probs[node]!
        bound = Math.imul(range >>> 11, p)
        if (code >>> 0 < bound >>> 0) {
          range = bound
          probs[node] = p + ((2048 - p) >> 5)
          tree = lengthBase + MID + (posState << 3)
          length = 10
        } else {
          range = (range - bound) | 0
          code = (code - bound) | 0
          probs[node] = p - (p >> 5)
          tree = lengthBase + HIGH
          limit = 256
          length = 18
        }
      }
      if (range >>> 24 === 0) {
        range <<= 8
        code = (code << 8) | input[next++]!
      }
      let m = 1
      do {
        node = tree + m
        p = probs[node]!
        bound = Math.imul(range >>> 11, p)
        if (code >>> 0 < bound >>> 0) {
          range = bound
          probs[node] = p + ((2048 - p) >> 5)
          m <<= 1
        } else {
          range = (range - bound) | 0
          code = (code - bound) | 0
          probs[node] = p - (p >> 5)
          m = (m << 1) | 1
        }
        if (range >>> 24 === 0) {
          range <<= 8
          code = (code << 8) | input[next++]!
        }
      } while (m < limit)
      length += m - limit

      if (isRepeat) state = state < 7 ? 8 : 11
      else {
        state = state < 7 ? 7 : 10
        // The distance: a 6-bit slot, then its lower bits.
        tree = POS_SLOT + ((length < 6 ? length - 2 : 3) << 6)
        m = 1
        do {
          node = tree + m
          p = probs[node]!
          bound = Math.imul(range >>> 11, p)
          if (code >>> 0 < bound >>> 0) {
            range = bound
            probs[node] = p + ((2048 - p) >> 5)
            m <<= 1
          } else {
            range = (range - bound) | 0
            code = (code - bound) | 0
            probs[node] = p - (p >> 5)
            m = (m << 1) | 1
          }
          if (range >>> 24 === 0) {
            range <<= 8
            code = (code << 8) | input[next++]!
          }
        } while (m < 64)
        const slot = m - 64
        if (slot < 4) rep0 = slot
        else {
          let bits = (slot >> 1) - 1
          rep0 = (2 | (slot & 1)) << bits
          if (slot < 14) tree = POS_SPECIAL + rep0 - slot
          else {
            // High bits are sent as they are; the lowest four have a tree of their own.
            bits -= 4
            let direct = 0
            do {
              range >>>= 1
              code = (code - range) | 0
              const borrow = code >> 31
              code = (code + (range & borrow)) | 0
              direct = (direct << 1) + (borrow + 1)
              if (range >>> 24 === 0) {
                range <<= 8
                code = (code << 8) | input[next++]!
              }
            } while (--bits > 0)
            rep0 = (rep0 + (direct << 4)) | 0
            bits = 4
            tree = ALIGN
          }
          m = 1
          for (let bit = 0; bit < bits; bit++) {
            node = tree + m
            p = probs[node]!
            bound = Math.imul(range >>> 11, p)
            if (code >>> 0 < bound >>> 0) {
              range = bound
              probs[node] = p + ((2048 - p) >> 5)
              m <<= 1
            } else {
              range = (range - bound) | 0
              code = (code - bound) | 0
              probs[node] = p - (p >> 5)
              m = (m << 1) | 1
              rep0 += 1 << bit
            }
            if (range >>> 24 === 0) {
              range <<= 8
              code = (code << 8) | input[next++]!
            }
          }
          rep0 |= 0
        }
      }

      // A negative distance is one of 2 GiB or more (or the end marker, which LZMA2 does not have).
      let from = at - rep0 - 1
      if (rep0 < 0 || rep0 >= dictionary || from < floor) throw corrupt('a distance reaches before the start')
      const stop = at + length
      if (stop > end) throw corrupt('a match reaches past its chunk')
      if (rep0 >= length && length > 24) {
        window.copyWithin(at, from, from + length)
        at = stop
      } else
        do window[at++] = window[from++]!
        while (at < stop)
    }

    if (next !== packedLength || code !== 0) throw corrupt('a chunk does not end where it should')
    this.#at = at
    this.#reach = Math.min(this.#reach + at - start, dictionary)
    this.#position = (this.#position + at - start) | 0
    this.#state = state
    this.#rep0 = rep0
    this.#rep1 = rep1
    this.#rep2 = rep2
    this.#rep3 = rep3
  }
}
