/**
 * Screens. Key press to pixel: from a scancode that a viewer sends until the viewer has painted the character that the guest's shell echoes, beside
 * the same over the serial port. What a visible, unchanging screen costs, beside the same guest unseen. A moving picture: full-screen updates
 * that a viewer gets and decodes, beside the same without compression.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { RfbDisplay } from '../../../src-main/engines/rfb/rfb-display.ts'
import type { Picture } from '../../../src-main/engines/rfb/screen.ts'
import { guestFiles } from '../../guest/support/appliance.ts'
import { Guest } from '../../guest/support/guest.ts'
import { ScreenReader } from '../../guest/support/screen-text.ts'
import { RAW, RfbClient, TIGHT } from '../../support/rfb-client.ts'
import { ScreenDouble } from '../../support/screen-double.ts'
import { streamPair } from '../../support/stream-pair.ts'
import type { Figure } from '../figure.ts'

const KEYS = 30
const IDLE_RUNS = 3
const IDLE_MS = 15_000
/** After the prompt the kernel still cleans up. */
const SETTLE_MS = 3000
const MOVING = { width: 1024, height: 768, ms: 3000, runs: 3 }
/** The letter x, and backspace. */
const KEY_X = 0x2d
const KEY_BACK = 0x0e

export async function displayFigures(): Promise<Figure[]> {
  const files = await guestFiles()
  const guest = await Guest.boot(files)
  try {
    await sleep(SETTLE_MS)
    const reader = await ScreenReader.open(files.firmware.vgaBios)
    return [await keyToPixel(guest, reader), await idleScreen(guest), await moving('flat colours', drawing), await moving('noise', noise)]
  } finally {
    await guest.close()
  }
}

async function open(guest: Guest): Promise<RfbClient> {
  const { stream } = await guest.engine.display({ machine: guest.machine })
  const viewer = await RfbClient.open(stream)
  await viewer.update(false)
  return viewer
}

async function keyToPixel(guest: Guest, reader: ScreenReader): Promise<Figure> {
  const viewer = await open(guest)
  const values: number[] = []
  const serial: number[] = []
  const press = async (code: number): Promise<number> => {
    const before = reader.read(viewer).join('\n')
    const start = performance.now()
    await viewer.scancode(code, true)
    await viewer.scancode(code, false)
    let at: number
    do {
      await viewer.update()
      at = performance.now()
    } while (reader.read(viewer).join('\n') === before)
    return at - start
  }
  for (let key = 0; key < KEYS; key++) {
    values.push(await press(KEY_X))
    await press(KEY_BACK)
    const from = guest.output.length
    const start = performance.now()
    await guest.type('x')
    await guest.expectSerial(/x/, from)
    serial.push(performance.now() - start)
  }
  viewer.close()
  return { name: 'key press to pixel, embedded engine', unit: 'ms', values, anchor: { name: 'echo on the serial port', values: serial } }
}

/** The engine's whole thread, guest included: the difference is the screen's. */
async function idleScreen(guest: Guest): Promise<Figure> {
  const share = async (): Promise<number> => {
    const before = guest.counters.read().cpuMicros
    await sleep(IDLE_MS)
    return (guest.counters.read().cpuMicros - before) / (IDLE_MS * 10)
  }
  const seen: number[] = []
  const unseen: number[] = []
  for (let run = 0; run < IDLE_RUNS; run++) {
    unseen.push(await share())
    const viewer = await open(guest)
    let watching = true
    const watched = (async () => {
      while (watching) await viewer.update()
    })()
    seen.push(await share())
    watching = false
    await watched
    viewer.close()
  }
  return {
    name: 'idle guest, its screen seen',
    unit: '% of a core',
    values: seen,
    anchor: { name: 'unseen', values: unseen },
    target: '≤ 2 % more than unseen',
  }
}

type Draw = (picture: Picture, frame: number) => void

const drawing: Draw = ({ width, height, pixels }, frame) => {
  for (let y = 0; y < height; y++) {
    const band = ((y + 7 * frame) >> 5) & 7
    pixels.fill(0xff303030 + band * 0x001a2b05, y * width, (y + 1) * width)
    pixels.fill(0xffffffff, y * width + ((13 * frame + y) % 900), y * width + ((13 * frame + y) % 900) + 100)
  }
}

const noise: Draw = ({ pixels }, frame) => {
  let state = frame + 1
  for (let at = 0; at < pixels.length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    pixels[at] = 0xff000000 | (state >>> 8)
  }
}

async function moving(name: string, draw: Draw): Promise<Figure> {
  const { width, height, ms, runs } = MOVING
  const rate = async (encoding: number): Promise<number> => {
    const screen = new ScreenDouble({ width, height, pixels: new Uint32Array(width * height) })
    const display = new RfbDisplay(screen, name)
    const [near, far] = streamPair()
    display.attach(near)
    const viewer = await RfbClient.open(far, { encodings: [encoding] })
    await viewer.update(false)
    // Drawn beforehand: the figure is about showing.
    const frames = [0, 1, 2, 3].map((frame) => {
      const picture = { width, height, pixels: new Uint32Array(width * height) }
      draw(picture, frame)
      return picture
    })
    const start = performance.now()
    let updates = 0
    for (; performance.now() - start < ms; updates++) {
      screen.picture.pixels.set(frames[updates % frames.length]!.pixels)
      screen.changed({ x: 0, y: 0, width, height })
      await viewer.update()
    }
    const seconds = (performance.now() - start) / 1000
    display.dispose()
    return updates / seconds
  }
  const values: number[] = []
  const raw: number[] = []
  for (let run = 0; run < runs; run++) {
    values.push(await rate(TIGHT))
    raw.push(await rate(RAW))
  }
  return { name: `full-screen updates, ${width}×${height}, ${name}`, unit: '/s', values, anchor: { name: 'Raw', values: raw } }
}
