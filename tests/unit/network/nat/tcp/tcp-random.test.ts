/** A machine that does anything at all for a while, and then what it should: what arrives on both sides is what was sent, and everything ends. */
import { expect, it } from 'vitest'
import { TCP } from '../../../../../src-main/network/codec/tcp.ts'
import { fuzzRuns, fuzzSeed } from '../../../../support/hostile-image.ts'
import { withLeakCheck } from '../../../../support/leak-check.ts'
import { seeded } from '../../../../support/seeded.ts'
import { sackOf, SYN_OPTIONS, TcpScript } from '../../../../support/tcp-script.ts'

withLeakCheck()
const SCALE = 7
const SCALED = Uint8Array.of(...SYN_OPTIONS, 1, 3, 3, SCALE)
const LENGTH = 30_000
const streamOf = (random: (below: number) => number): string =>
  Buffer.from(Array.from({ length: LENGTH }, () => 33 + random(90))).toString('latin1')
const STREAMS = [streamOf(seeded(1)), streamOf(seeded(2))] as const

it.each(Array.from({ length: fuzzRuns(30) }, (_, at) => fuzzSeed(0) * 1000 + at + 1))('seed %i', (seed) => {
  const random = seeded(seed)
  const script = new TcpScript(random(2) === 0 ? 0xffff_ff00 : random(2 ** 31))
  script.connect(SCALED, 500)
  const [ofGuest, ofHost] = STREAMS
  const { end } = script
  /** The machine's side: what it got, what it may still say. */
  const got = new Uint8Array(LENGTH)
  const has = new Uint8Array(LENGTH + 3)
  let edge = 500 * 2 ** SCALE + 1
  let hostFin = false
  let given = 0
  let acked = 1
  let rounds = 0
  let ended = false

  const look = (): void => {
    script.turn()
    for (const { flags, sequence, acknowledgment, payload } of script.segments.splice(0)) {
      const at = (sequence - script.ours) | 0
      if (flags & TCP.rst) throw new Error(`Reset after ${rounds} rounds`)
      expect(at + payload.length + (flags & TCP.fin ? 1 : 0)).toBeLessThanOrEqual(Math.max(edge, acked))
      if (payload.length > 0) {
        expect(Buffer.from(payload).toString('latin1')).toBe(ofHost.slice(at - 1, at - 1 + payload.length))
        got.set(payload, at - 1)
        has.fill(1, at, at + payload.length)
      }
      if (flags & TCP.fin) {
        hostFin = true
        has[at + payload.length] = 1
      }
      const ack = (acknowledgment - script.first) | 0
      expect(ack).toBeGreaterThanOrEqual(1)
      told = Math.max(told, ack)
    }
    expect(ofGuest.startsWith(end.text)).toBe(true)
  }
  let told = 1
  const inOrder = (): number => {
    const next = has.indexOf(0, acked)
    return next < 0 ? has.length : next
  }
  const speak = (seq: number, length: number, window: number, fin: boolean): void => {
    const data = ofGuest.slice(seq - 1, seq - 1 + length)
    const blocks: [number, number][] = []
    for (let at = has.indexOf(1, inOrder()); at >= 0 && blocks.length < 3;) {
      const right = has.indexOf(0, at)
      blocks.push([at, right])
      at = has.indexOf(1, right)
    }
    edge = Math.max(edge, acked + window * 2 ** SCALE)
    script.guest(fin ? 'FA' : 'A', {
      seq,
      ack: acked,
      data,
      window,
      options: blocks.length > 0 ? sackOf(script.ours, ...blocks) : new Uint8Array(0),
    })
  }

  for (; rounds < 400; rounds++) {
    switch (random(8)) {
      case 0:
      case 1:
        // Anywhere about what is awaited: again, ahead, overlapping.
        speak(Math.max(1, Math.min(LENGTH - 2000, told - 3000 + random(9000))), random(1460), random(500), false)
        break
      case 2:
        speak(told, Math.min(1460, Math.max(0, LENGTH - told)), random(500), false)
        break
      case 3:
        acked = Math.min(inOrder(), acked + random(6000))
        speak(told, 0, random(100) < 20 ? 0 : random(500), false)
        break
      case 4:
        if (!end.paused && given < LENGTH) {
          const length = Math.min(LENGTH - given, random(8000))
          end.data(ofHost.slice(given, given + length))
          given += length
        }
        break
      case 5:
        end.holds = random(3) === 0
        if (!end.holds) end.drain()
        break
      case 6:
        script.advance(random(5) === 0 ? random(3000) : random(20))
        break
      default:
        look()
    }
  }
  // From here on it behaves.
  end.holds = false
  end.drain()
  for (; rounds < 2000 && script.flows.count > 0; rounds++) {
    if (given < LENGTH && !end.paused) {
      end.data(ofHost.slice(given, given + 8000))
      given = Math.min(LENGTH, given + 8000)
    } else if (given === LENGTH && !ended) {
      ended = true
      end.events.ended()
    }
    look()
    acked = inOrder()
    speak(told, Math.min(1460, Math.max(0, LENGTH + 1 - told)), 500, told === LENGTH + 1)
    look()
    if (end.ended && hostFin) end.events.closed(null)
    script.advance(10)
  }
  expect(end.text).toBe(ofGuest)
  expect(Buffer.from(got).toString('latin1')).toBe(ofHost)
  script.advance(5000)
  expect(script.flows.count).toBe(0)
  script.dispose()
})
