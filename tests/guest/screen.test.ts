/** The screens of real guests, seen and steered by a viewer of our own. */
import { afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { decodePng } from '../support/png.ts'
import { QEMU_PROGRAM } from '../support/qemu-program.ts'
import { DESKTOP_SIZE, QEMU_EXTENDED_KEY, TIGHT, type RfbClient } from '../support/rfb-client.ts'
import { guestFiles, type GuestFiles } from './support/appliance.ts'
import { grubIso } from './support/grub-iso.ts'
import { startGrub } from './support/grub.ts'
import { Guest, GUEST_LIMIT } from './support/guest.ts'
import { ScreenReader } from './support/screen-text.ts'
import { view, type Viewed } from './support/view.ts'

let files: GuestFiles
let reader: ScreenReader
let guest: Guest | null = null

beforeAll(async () => {
  files = await guestFiles()
  reader = await ScreenReader.open(files.firmware.vgaBios)
})
afterEach(async () => {
  await guest?.close()
  guest = null
})

async function screenshot(of: Viewed): Promise<string> {
  const { png } = await of.engine.screenshot({ machine: of.machine })
  return reader.read(decodePng(png)).join('\n')
}

/** Follows the screen until it reads like this. */
async function seen(viewer: RfbClient, pattern: RegExp): Promise<string> {
  const text = (): string => reader.read(viewer).join('\n')
  await until(viewer, () => pattern.test(text()), String(pattern))
  return text()
}

async function until(viewer: RfbClient, done: () => boolean, what = String(done)): Promise<void> {
  const limit = Date.now() + GUEST_LIMIT
  while (!done()) {
    // A text screen's cursor blinks; a still picture gives no update, and the test's own limit ends it.
    if (Date.now() > limit) throw new Error(`The screen did not show ${what} but:\n${reader.read(viewer).join('\n')}`)
    await viewer.update()
  }
}

describe('Coppice Linux', () => {
  test('its console is readable; a shell answers what two viewers type', async () => {
    guest = await Guest.boot(files)
    expect(await screenshot(guest), 'of a machine that nobody views').toMatch(/Coppice Linux/)
    const first = await view(guest, [TIGHT, DESKTOP_SIZE])
    const second = await view(guest, [TIGHT, DESKTOP_SIZE, QEMU_EXTENDED_KEY])
    await seen(first, /# $|#$/m)
    await first.type('echo "Six times 7 is $((6*7))."\n')
    await seen(first, /^Six times 7 is 42\.$/m)
    await seen(second, /^Six times 7 is 42\.$/m)
    // By the keys' places, as noVNC sends them: "pwd" and Enter.
    for (const code of [0x19, 0x11, 0x20, 0x1c]) for (const down of [true, false]) await second.scancode(code, down)
    await seen(second, /pwd\n\/root$/m)
    first.close()
    await second.type('clear; echo alone\n')
    expect((await seen(second, /^alone$/m)).startsWith('alone')).toBe(true)
    expect(await screenshot(guest)).toMatch(/^alone\n/)
    await guest.engine.pause({ machine: guest.machine })
    expect(await screenshot(guest), 'while it is paused').toMatch(/^alone\n/)
    await guest.engine.powerOff({ machine: guest.machine })
    await expect(seen(second, /never/)).rejects.toThrow(/closed/)
  })
})

describe.each(['embedded', 'qemu'] as const)('GRUB’s rescue CD, engine %s', (engine) => {
  test('menu, keys, and a graphics mode', async ({ skip }) => {
    const iso = await grubIso()
    if ('missing' in iso) return skip(iso.missing)
    if (engine === 'qemu' && !QEMU_PROGRAM) return skip('This computer has no qemu-system-x86_64.')
    const machine = await startGrub(engine, files, iso.path)
    onTestFinished(() => machine.close())
    const viewer = await view(machine)
    await seen(viewer, /\*GNU\/Linux/)
    // Down, twice: the selected entry moves.
    for (const down of [true, false, true, false]) await viewer.scancode(0xd0, down)
    await seen(viewer, /\*FreeBSD/)
    expect(await screenshot(machine)).toMatch(/\*FreeBSD/)
    await viewer.type('c')
    await seen(viewer, /^grub>/m)
    await viewer.type('insmod vbe; loadfont unicode; set gfxmode=800x600; terminal_output gfxterm\n')
    await until(viewer, () => viewer.width === 800 && new Set(viewer.pixels).size > 1)
    expect(viewer.height).toBe(600)
    const before = viewer.pixels.slice()
    await viewer.type('echo Hello\n')
    await until(viewer, () => viewer.pixels.some((pixel, at) => pixel !== before[at]))
    const { png } = await machine.engine.screenshot({ machine: machine.machine })
    expect(decodePng(png)).toMatchObject({ width: 800, height: 600 })
    await viewer.type('terminal_output console\n')
    await until(viewer, () => viewer.width === 720)
    await seen(viewer, /^grub>/m)
  })
})
