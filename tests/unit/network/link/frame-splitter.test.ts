import { expect, test } from 'vitest'
import { FrameSplitter, MAX_STREAM_FRAME } from '../../../../src-main/network/link/frame-splitter.ts'
import { noise, seeded } from '../../../support/seeded.ts'

/** With its length before it. */
function framed(frame: Uint8Array): Buffer {
  const bytes = Buffer.alloc(4 + frame.length)
  bytes.writeUInt32BE(frame.length)
  bytes.set(frame, 4)
  return bytes
}

test('frames come out as they went in, wherever the stream is cut', () => {
  const random = seeded(3)
  for (let round = 0; round < 60; round++) {
    const frames = Array.from({ length: 1 + random(20) }, () => noise(random, 1 + random(random(40) === 0 ? MAX_STREAM_FRAME : 300)))
    const stream = Buffer.concat(frames.map(framed))
    const got: Buffer[] = []
    const splitter = new FrameSplitter((frame) => got.push(Buffer.from(frame)))
    const most = [1, 3, 7, 100, 70_000][random(5)]!
    for (let at = 0; at < stream.length;) {
      // Some pieces are as short as can be, whatever most of them are.
      const length = random(5) === 0 ? 1 + random(5) : 1 + random(most)
      expect(splitter.push(stream.subarray(at, at + length))).toBe(true)
      at += length
    }
    expect(got.map((frame) => frame.length)).toEqual(frames.map((frame) => frame.length))
    expect(Buffer.concat(got).equals(Buffer.concat(frames))).toBe(true)
  }
})

test('frames of a chunk are views of it', () => {
  const chunk = Buffer.concat([framed(new Uint8Array(60)), framed(new Uint8Array(70))])
  const got: Uint8Array[] = []
  new FrameSplitter((frame) => got.push(frame)).push(chunk)
  expect(got.map(({ buffer, byteOffset, length }) => [buffer === chunk.buffer, byteOffset - chunk.byteOffset, length])).toEqual([
    [true, 4, 60],
    [true, 68, 70],
  ])
})

test('a length that makes no sense is refused, whole or in pieces, and what came before it is handed on', () => {
  for (const length of [0, MAX_STREAM_FRAME + 1, 0x8000_0000, 0xffff_ffff]) {
    const bad = Buffer.alloc(4)
    bad.writeUInt32BE(length)
    let count = 0
    expect(new FrameSplitter(() => count++).push(Buffer.concat([framed(new Uint8Array(9)), bad]))).toBe(false)
    expect(count).toBe(1)
    const splitter = new FrameSplitter(() => count++)
    expect(splitter.push(bad.subarray(0, 3))).toBe(true)
    expect(splitter.push(bad.subarray(3))).toBe(false)
    expect(count).toBe(1)
  }
})
