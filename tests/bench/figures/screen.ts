/**
 * Screens in the window, on both engines: the whole path from the guest through engine, host, WebSocket and noVNC to the canvas in Chromium and back.
 * Key press to pixel: from the page's keydown event until the picture that the key changed is on the canvas. A moving picture: paintings of the
 * whole canvas each second while the guest changes all of it 100 times a second. The anchors are an RFB client in Node without a window: on QEMU at the
 * bare VNC socket.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { RAW, RfbClient } from '../../support/rfb-client.ts'
import type { Figure } from '../figure.ts'
import { SETTLE_MS, ShownMachine } from '../support/shown-machine.ts'

const KEYS = 15
const MOVING = { ms: 4000, runs: 3 }
/** The letter K: any but M. */
const KEY = { page: 'k', scancode: 0x25 }
const MOVE = 'm'

export async function screenFigures(): Promise<Figure[]> {
  return [...(await figuresOf('embedded')), ...(await figuresOf('qemu'))]
}

async function figuresOf(engine: 'embedded' | 'qemu'): Promise<Figure[]> {
  const shown = await ShownMachine.open(engine)
  const anchor = engine === 'qemu' ? 'QEMU’s VNC socket, Raw' : 'the host’s stream, Raw'
  try {
    const viewer = await RfbClient.open(await shown.bareScreen(), { encodings: [RAW] })
    const keys = { ours: [] as number[], bare: [] as number[] }
    for (let key = 0; key < KEYS; key++) {
      keys.ours.push(await shown.keyToCanvas(KEY.page))
      keys.bare.push(await keyToClient(viewer))
    }
    const moving = { ours: [] as number[], bare: [] as number[] }
    await shown.page.keyboard.press(MOVE)
    for (let run = 0; run < MOVING.runs; run++) {
      moving.ours.push(await shown.paintsPerSecond(MOVING.ms))
      // One viewer at a time.
      await shown.setHidden(true)
      moving.bare.push(await updatesPerSecond(viewer))
      await shown.setHidden(false)
    }
    viewer.close()
    return [
      { name: `key press to canvas, ${engine}`, unit: 'ms', values: keys.ours, anchor: { name: anchor, values: keys.bare } },
      {
        name: `full-screen updates on the canvas, 1024×768, ${engine}`,
        unit: '/s',
        values: moving.ours,
        anchor: { name: anchor, values: moving.bare },
      },
    ]
  } finally {
    await shown.close()
  }
}

const whole = (rects: { width: number; height: number }[], { width, height }: RfbClient): boolean =>
  rects.reduce((area, rect) => area + rect.width * rect.height, 0) >= 0.9 * width * height

async function keyToClient(viewer: RfbClient): Promise<number> {
  await sleep(SETTLE_MS)
  await viewer.update(false)
  const from = performance.now()
  await viewer.scancode(KEY.scancode, true)
  await viewer.scancode(KEY.scancode, false)
  while (!whole((await viewer.update()).rects, viewer)) continue
  return performance.now() - from
}

async function updatesPerSecond(viewer: RfbClient): Promise<number> {
  await viewer.update(false)
  const from = performance.now()
  let updates = 0
  while (performance.now() - from < MOVING.ms) if (whole((await viewer.update()).rects, viewer)) updates++
  return (updates / (performance.now() - from)) * 1000
}
