/** The server against a viewer of our own, over a real byte stream. */
import { describe, expect, onTestFinished, test } from 'vitest'
import { RfbDisplay } from '../../../../src-main/engines/rfb/rfb-display.ts'
import type { Picture } from '../../../../src-main/engines/rfb/screen.ts'
import { utf8 } from '../../../../src-shared/base/bytes.ts'
import type { ByteStream } from '../../../../src-shared/rpc/byte-stream.ts'
import { decodePng } from '../../../support/png.ts'
import {
  CURSOR,
  DESKTOP_SIZE,
  EXTENDED_DESKTOP_SIZE,
  QEMU_EXTENDED_KEY,
  QEMU_POINTER_MOTION,
  RAW,
  RfbClient,
  TIGHT,
  type Viewing,
} from '../../../support/rfb-client.ts'
import { ScreenDouble } from '../../../support/screen-double.ts'
import { streamPair } from '../../../support/stream-pair.ts'
import { manyColours, photo, picture, plain, rgb, twoColours } from './pictures.ts'

/** The pseudo-encoding of compression level 0. */
const LEAST_COMPRESSION = -256

function display(shown: Picture): {
  screen: ScreenDouble
  display: RfbDisplay
  connect(): ByteStream
  view(how?: Viewing): Promise<RfbClient>
} {
  const screen = new ScreenDouble({ ...shown, pixels: shown.pixels.slice() })
  const made = new RfbDisplay(screen, 'Prüfling')
  onTestFinished(() => made.dispose())
  const connect = (): ByteStream => {
    const [near, far] = streamPair()
    made.attach(near)
    return far
  }
  return { screen, display: made, connect, view: (how) => RfbClient.open(connect(), how) }
}

describe('pictures', () => {
  test.each([
    ['one colour', plain],
    ['two colours', twoColours],
    ['a palette', manyColours],
    ['many colours', photo],
    ['one pixel', picture(1, 1, () => rgb(1, 2, 3))],
    ['three pixels of three colours', picture(3, 1, (x) => rgb(x, 2, 3))],
    ['wider than a rectangle may be', picture(2100, 20, (x, y) => rgb(x & 255, y, x >> 8))],
  ])('%s arrives as it is, plain and packed', async (_name, shown) => {
    const { view } = display(shown)
    for (const encodings of [[TIGHT, RAW], [RAW, TIGHT], []]) {
      const viewer = await view({ encodings })
      const update = await viewer.update(false)
      expect({ width: viewer.width, height: viewer.height, name: viewer.name }).toEqual({
        width: shown.width,
        height: shown.height,
        name: 'Prüfling',
      })
      expect(viewer.pixels).toEqual(shown.pixels)
      expect(update.rects.every(({ encoding }) => encoding === (encodings[0] ?? RAW))).toBe(true)
    }
  })

  test.each(['RFB 003.003\n', 'RFB 003.007\n', 'RFB 003.008\n'])('viewers of %j see it', async (version) => {
    const viewer = await display(twoColours).view({ version })
    await viewer.update(false)
    expect(viewer.pixels).toEqual(twoColours.pixels)
  })

  test.each([
    [
      '16 bits, 5-6-5',
      [16, 16, 0, 1, 0, 31, 0, 63, 0, 31, 11, 5, 0],
      (r: number, g: number, b: number) =>
        (Math.round((r * 31) / 255) << 11) | (Math.round((g * 63) / 255) << 5) | Math.round((b * 31) / 255),
    ],
    [
      '8 bits, 3-3-2',
      [8, 8, 0, 1, 0, 7, 0, 7, 0, 3, 0, 3, 6],
      (r: number, g: number, b: number) => Math.round((r * 7) / 255) | (Math.round((g * 7) / 255) << 3) | (Math.round((b * 3) / 255) << 6),
    ],
    [
      '32 bits, big-endian, red first',
      [32, 24, 1, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0],
      (r: number, g: number, b: number) => ((b << 24) | (g << 16) | (r << 8)) >>> 0,
    ],
  ] as const)('pixels of %s', async (_name, format, convert) => {
    const { connect } = display(photo)
    const stream = connect()
    const viewer = await RfbClient.open(stream, { encodings: [RAW] })
    await stream.write(Uint8Array.of(0, 0, 0, 0, ...format, 0, 0, 0))
    await viewer.request(false)
    const size = format[0] / 8
    const bytes = await readAll(stream, 16 + photo.pixels.length * size)
    const view = new DataView(bytes.buffer, 16)
    const read = {
      1: (at: number) => view.getUint8(at),
      2: (at: number) => view.getUint16(2 * at, true),
      4: (at: number) => view.getUint32(4 * at, true),
    }[size as 1 | 2 | 4]
    const expected = Array.from(photo.pixels, (pixel) => convert(pixel & 255, (pixel >> 8) & 255, (pixel >> 16) & 255))
    expect(expected.map((_, at) => read(at))).toEqual(expected)
  })

  test.each([
    ['many colours', photo, RAW],
    ['a palette', manyColours, TIGHT],
    ['one colour', plain, TIGHT],
  ])('%s for a viewer that wants little work spent on packing', async (_name, shown, encoding) => {
    const viewer = await display(shown).view({ encodings: [TIGHT, RAW, LEAST_COMPRESSION] })
    const { rects } = await viewer.update(false)
    expect(rects.map((rect) => rect.encoding)).toEqual([encoding])
    expect(viewer.pixels).toEqual(shown.pixels)
  })

  test('a screenshot, where nobody looks, is the picture, and leaves nothing behind', async () => {
    const { screen, display: made } = display(photo)
    expect(decodePng(await made.screenshot())).toEqual({ width: 120, height: 80, pixels: photo.pixels })
    expect(screen).toMatchObject({ looks: 1, rests: 1 })
  })
})

describe('updates', () => {
  test('only what changed is sent, merged, and only when it is asked for', async () => {
    const { screen, view } = display(plain)
    const viewer = await view()
    await viewer.update(false)
    screen.fill({ x: 0, y: 0, width: 3, height: 3 }, rgb(255, 0, 0))
    screen.fill({ x: 20, y: 2, width: 3, height: 3 }, rgb(0, 255, 0))
    const update = await viewer.update()
    expect(update.rects).toMatchObject([{ x: 0, y: 0, width: 32, height: 16 }])
    expect(viewer.pixels).toEqual(screen.picture.pixels)
  })

  test('a viewer that does not read has at most one update under way, and sees the newest picture afterwards', async () => {
    const { screen, display: made, connect } = display(picture(1024, 768, (x, y) => rgb(x & 255, y & 255, (x * y) & 255)))
    const stream = connect()
    const slow = await RfbClient.open(stream, { encodings: [RAW] })
    await slow.request(false)
    const quick = await display2(made)
    for (let turn = 0; turn < 5; turn++) {
      await quick.update(false)
      screen.fill({ x: 0, y: 0, width: 1024, height: 768 }, rgb(turn, turn, turn))
      // Asks again and again without reading.
      await slow.request(true)
    }
    await slow.receive()
    expect(slow.received).toBeLessThan(2 * 4 * 1024 * 768)
    await slow.receive()
    expect(slow.pixels.every((pixel) => pixel === rgb(4, 4, 4))).toBe(true)
  })

  test('the screen is looked at only while a viewer waits, and rests when the last has left', async () => {
    const { screen, view } = display(plain)
    const viewer = await view()
    await viewer.update(false)
    const looks = screen.looks
    await new Promise((resolve) => setTimeout(resolve, 120))
    expect(screen.looks).toBe(looks)
    await viewer.request(true)
    await expect.poll(() => screen.looks).toBeGreaterThan(looks + 1)
    viewer.close()
    await expect.poll(() => screen.rests).toBe(1)
    const after = screen.looks
    await new Promise((resolve) => setTimeout(resolve, 120))
    expect(screen.looks).toBe(after)
  })

  test.each([
    ['DesktopSize', DESKTOP_SIZE],
    ['ExtendedDesktopSize', EXTENDED_DESKTOP_SIZE],
  ])('another size is told with %s', async (_name, encoding) => {
    const { screen, view } = display(plain)
    const viewer = await view({ encodings: [TIGHT, encoding] })
    await viewer.update(false)
    screen.show(photo)
    expect((await viewer.update()).rects).toMatchObject([{ encoding, width: 120, height: 80 }])
    await viewer.update()
    expect(viewer.pixels).toEqual(photo.pixels)
  })

  test('a viewer that cannot be told sees what fits', async () => {
    const { screen, view } = display(plain)
    const viewer = await view({ encodings: [TIGHT] })
    await viewer.update(false)
    screen.show(twoColours)
    await viewer.update()
    expect(viewer.width).toBe(100)
    expect(viewer.pixels.subarray(0, 100)).toEqual(twoColours.pixels.subarray(0, 100))
  })

  test('a wish for another size is refused', async () => {
    const { connect } = display(plain)
    const stream = connect()
    const viewer = await RfbClient.open(stream, { encodings: [RAW, EXTENDED_DESKTOP_SIZE] })
    await viewer.update(false)
    await stream.write(Uint8Array.of(251, 0, 4, 0, 3, 0, 1, 0, ...new Uint8Array(16)))
    expect((await viewer.update()).rects).toMatchObject([{ x: 1, y: 1, encoding: EXTENDED_DESKTOP_SIZE }])
    expect(viewer.width).toBe(100)
  })

  test('a wish that comes early costs no other notice', async () => {
    const { connect } = display(plain)
    const stream = connect()
    const viewer = await RfbClient.open(stream, { encodings: [RAW, EXTENDED_DESKTOP_SIZE, QEMU_EXTENDED_KEY] })
    await stream.write(Uint8Array.of(251, 0, 4, 0, 3, 0, 1, 0, ...new Uint8Array(16)))
    const told = (await viewer.update(false)).rects.map(({ encoding }) => encoding)
    expect(told).toEqual(expect.arrayContaining([QEMU_EXTENDED_KEY, EXTENDED_DESKTOP_SIZE]))
    for (let again = 0; again < 100; again++) {
      await viewer.setEncodings([RAW])
      await viewer.setEncodings([RAW, QEMU_EXTENDED_KEY])
    }
    expect((await viewer.update(false)).rects).toHaveLength(1)
  })

  test('what it understands is told once', async () => {
    const { view } = display(plain)
    const viewer = await view({ encodings: [TIGHT, QEMU_EXTENDED_KEY, CURSOR] })
    const first = await viewer.update(false)
    expect(first.rects.slice(0, 2).map(({ encoding }) => encoding)).toEqual([QEMU_EXTENDED_KEY, CURSOR])
    await viewer.setEncodings([TIGHT, QEMU_EXTENDED_KEY, CURSOR])
    expect((await viewer.update(false)).rects.map(({ encoding }) => encoding)).toEqual([TIGHT])
  })
})

describe('input', () => {
  test('keys and pointer of several viewers arrive, and what a viewer held is let go when it leaves', async () => {
    const { screen, view } = display(plain)
    const first = await view()
    const second = await view()
    await first.scancode(0x9d, true)
    await first.pointer(5, 6, 1)
    await second.keysym(0x61, true)
    await second.keysym(0x61, false)
    await expect.poll(() => screen.input.length).toBe(4)
    first.close()
    await expect
      .poll(() => [...screen.input].sort())
      .toEqual(['key 1e down', 'key 1e up', 'key 9d down', 'key 9d up', 'move 0 0 0', 'pointer 5 6 1'].sort())
    await second.update(false)
    expect(second.pixels).toEqual(plain.pixels)
  })
})

describe('pointers', () => {
  test('a viewer that can send movements does so while the guest takes them', async () => {
    const { screen, view } = display(plain)
    screen.absolute = false
    const viewer = await view({ encodings: [TIGHT, QEMU_POINTER_MOTION] })
    expect((await viewer.update(false)).rects[0]).toMatchObject({ encoding: QEMU_POINTER_MOTION, x: 0 })
    await viewer.pointer(0x7fff - 3, 0x7fff + 4, 1)
    // Sent before it knew: a place.
    await viewer.pointer(10, 20, 1)
    await viewer.pointer(0x7fff, 0x7fff, 0)
    await expect.poll(() => screen.input).toEqual(['move -3 4 1', 'move 0 0 0'])
    screen.absolute = true
    expect((await viewer.update()).rects).toMatchObject([{ encoding: QEMU_POINTER_MOTION, x: 1 }])
    await viewer.pointer(10, 20, 0)
    await expect.poll(() => screen.input.at(-1)).toBe('pointer 10 20 0')
  })

  test('other viewers send places', async () => {
    const { screen, view } = display(plain)
    screen.absolute = false
    const viewer = await view()
    await viewer.update(false)
    await viewer.pointer(10, 20, 0)
    await expect.poll(() => screen.input).toEqual(['pointer 10 20 0'])
  })
})

describe('ends', () => {
  test('a viewer that sends rubbish is told why, and others go on', async () => {
    const { connect, view } = display(plain)
    const good = await view()
    const bad = connect()
    const closed = new Promise<unknown>((resolve) => bad.onClose(resolve))
    await bad.write(utf8('GET / HTTP/1.1\r\n'))
    expect(await closed).toMatchObject({ code: 'invalid-input' })
    await good.update(false)
    expect(good.pixels).toEqual(plain.pixels)
  })

  test('a screen that fails ends its viewers, and no more', async () => {
    const { screen, display: made, view } = display(plain)
    const viewer = await view()
    screen.broken = true
    await expect(viewer.update(false)).rejects.toThrow(/The screen is broken/)
    await expect(made.screenshot()).rejects.toThrow(/The screen is broken/)
    screen.broken = false
    expect((await view()).width).toBe(100)
  })

  test('closing ends every stream, and later viewers at once', async () => {
    const { display: made, connect } = display(plain)
    const streams = [connect(), connect()]
    made.close()
    streams.push(connect())
    await expect.poll(() => streams.every(({ closed }) => closed)).toBe(true)
  })
})

async function display2(made: RfbDisplay): Promise<RfbClient> {
  const [near, far] = streamPair()
  made.attach(near)
  return RfbClient.open(far)
}

async function readAll(stream: ByteStream, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const out = new Uint8Array(length)
  for (let at = 0; at < length;) {
    const bytes = await stream.read()
    if (!bytes) throw new Error('The stream ended.')
    out.set(bytes, at)
    at += bytes.length
  }
  return out
}
