/** Coppice Linux on the embedded engine: real guests in real threads. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { readMemory, type StateOwner } from '../../src-main/engines/embedded/memory.ts'
import { WINDOWS_TO_SPINNING } from '../../src-main/engines/watchdog.ts'
import { encodeHeader } from '../../src-main/files/memory-file.ts'
import { specDrive } from '../support/spec-drive.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { guestFiles, type GuestFiles } from './support/appliance.ts'
import { Guest } from './support/guest.ts'
import { MemoryDisk } from './support/memory-disk.ts'
import { memoryPlace } from '../support/memory-place.ts'

const MiB = 1024 * 1024

let files: GuestFiles
let folder: string
const guests: Guest[] = []
const disks: MemoryDisk[] = []

const keep = (guest: Guest): Guest => {
  guests.push(guest)
  return guest
}
const disk = (bytes: Uint8Array<ArrayBuffer>, readOnly = false): MemoryDisk => {
  const made = new MemoryDisk(bytes, readOnly)
  disks.push(made)
  return made
}

beforeAll(async () => {
  files = await guestFiles()
})
beforeEach(async () => {
  folder = await tempFolder()
})
afterEach(async () => {
  for (const guest of guests.splice(0)) await guest.close()
  for (const each of disks.splice(0)) each.dispose()
})

describe('Coppice Linux', () => {
  test('boots, answers over serial, keeps a shell variable over suspend in one thread and resume in another, and hears its power button there', async () => {
    const first = keep(await Guest.boot(files, { spec: { serialPorts: 2 } }))
    expect(await first.run('uname -s -m')).toBe('Linux i686')
    await first.run('MARK=kept-$((6 * 7))')
    const { machine, engine } = first
    await engine.pause({ machine })
    const counters = first.counters.read()
    const path = join(folder, 'memory')
    const header = await engine.saveMemory({ machine, memory: memoryPlace(path) })
    expect(header).toMatchObject({ engine: 'embedded', machine, memoryMiB: 128 })
    expect((await readFile(path)).length).toBe(header.bytes)
    expect(first.counters.read(), 'a paused machine executes nothing').toEqual(counters)
    await engine.powerOff({ machine })
    expect(await first.event((event) => event.kind === 'stopped')).toMatchObject({ reason: 'powered-off' })
    expect(await readFile(join(first.logFolder, 'serial0.log'), 'latin1')).toContain('Linux i686')
    await first.close()

    const second = keep(await Guest.boot(files, { spec: { ...first.spec }, memory: path }))
    expect(await second.run('echo $MARK')).toBe('kept-42')
    await second.engine.powerButton({ machine })
    expect(await second.event((event) => event.kind === 'stopped')).toMatchObject({ reason: 'guest-poweroff' })
  })

  test('reboots itself, is reset, is asked to shut down by the power button, while another machine runs beside it', async () => {
    const [guest, other] = (await Promise.all([Guest.boot(files), Guest.boot(files)])) as [Guest, Guest]
    keep(guest)
    keep(other)
    let from = guest.events.length
    await guest.type('reboot\n')
    await guest.event((event) => event.kind === 'rebooted', from)
    await guest.event((event) => event.kind === 'booted', from)
    expect(await other.run('echo $((7 * 8))')).toBe('56')
    expect(await guest.run('echo again')).toBe('again')
    from = guest.events.length
    await guest.engine.reset({ machine: guest.machine })
    await guest.event((event) => event.kind === 'booted', from)
    // Whoever sees the prompt may press the button.
    await guest.engine.powerButton({ machine: guest.machine })
    expect(await guest.event((event) => event.kind === 'stopped')).toMatchObject({ reason: 'guest-poweroff' })
    expect(await other.run('echo still here')).toBe('still here')
  })

  test('reads and writes a disk, flushes it, and sees the errors of a bad sector', async () => {
    const bytes = new Uint8Array(8 * MiB)
    bytes.set(new TextEncoder().encode('first sector'), 0)
    const image = disk(bytes)
    const guest = keep(
      await Guest.boot(files, {
        spec: { drives: [specDrive('disk-1', 'disk')] },
        disks: { 'disk-1': image },
      }),
    )
    await guest.run('until [ -b /dev/sda ]; do sleep 1; done')
    expect(await guest.run('head -c 12 /dev/sda')).toBe('first sector')
    await guest.run('printf written | dd of=/dev/sda bs=512 seek=100 conv=notrunc,fsync 2>/dev/null')
    expect(new TextDecoder().decode(bytes.subarray(51200, 51207))).toBe('written')
    expect(image.requests.at(-1)).toBe('flush')
    await guest.run('dd if=/dev/zero of=/dev/sda bs=1M count=6 seek=1 conv=fsync 2>/dev/null')
    expect(guest.counters.read().diskWrittenBytes).toBeGreaterThanOrEqual(6 * MiB)
    image.badByte = 7 * MiB + 100
    expect(await guest.run('dd if=/dev/sda of=/dev/null bs=512 skip=14336 count=1 2>&1 | head -1')).toContain('error')
    // A write is answered from the drive's cache; its failure is told by the flush that follows, once.
    const write = 'dd if=/dev/zero of=/dev/sda bs=512 seek=14336 count=1 conv=notrunc,fsync 2> /dev/null'
    expect(await guest.run(`${write} || echo refused`)).toContain('refused')
    image.badByte = null
    expect(await guest.run(`${write} && echo stored`)).toContain('stored')
    expect(await guest.run('echo alive')).toBe('alive')
  })

  test('a trap of the engine ends only its machine, with the cause', async () => {
    const other = keep(await Guest.boot(files))
    const path = join(folder, 'memory')
    await other.engine.pause({ machine: other.machine })
    await other.engine.saveMemory({ machine: other.machine, memory: memoryPlace(path) })
    await other.engine.resume({ machine: other.machine })
    const victim = keep(await Guest.create(files, { spec: { id: other.machine }, memory: await corrupted(path) }))
    await victim.start()
    const stopped = await victim.event((event) => event.kind === 'stopped')
    expect(stopped).toMatchObject({ reason: 'trap', error: { code: 'crashed' } })
    expect(stopped.kind === 'stopped' && stopped.error?.details?.technical).toMatch(/wasm|v86/)
    expect(await other.run('echo still here')).toBe('still here')
  })
})

/** A state, in a file of its own, whose header and checksum are right and whose timer has lost its counters: v86 takes it and fails in its first turn. */
async function corrupted(path: string): Promise<string> {
  const bytes = new Uint8Array(await readFile(path))
  const header = 12 + new DataView(bytes.buffer).getUint32(8, true)
  const meta = JSON.parse(new TextDecoder().decode(bytes.subarray(12, header))) as StateOwner
  const state = new Uint8Array((await readMemory(memoryPlace(path), meta)).state)
  const jsonLength = new DataView(state.buffer).getInt32(12, true)
  const parsed = JSON.parse(new TextDecoder().decode(state.subarray(16, 16 + jsonLength))) as { state: unknown[][] }
  // v86's CPU.get_state: 58 is the interval timer, and its element 1 says which counters run.
  parsed.state[58]![1] = null
  state.set(new TextEncoder().encode(JSON.stringify(parsed).padEnd(jsonLength)), 16)
  const out = `${path}-corrupt`
  await writeFile(out, Buffer.concat([encodeHeader({ ...meta, format: 1, stateCrc32: crc32(state) }), state]))
  return out
}

describe('guests that are dead or missing', () => {
  const cpuSeconds = (guest: Guest): number => guest.counters.read().cpuMicros / 1e6

  test('a random BIOS is said to spin', async () => {
    const bios = join(folder, 'random.bin')
    await writeFile(bios, randomBytes(1, 64 * 1024))
    const guest = keep(
      await Guest.start(files, {
        spec: { firmware: { bios, vgaBios: files.firmware.vgaBios }, boot: { kind: 'firmware', order: ['disk'] } },
      }),
    )
    expect(await guest.event((event) => event.kind === 'health' && event.health === 'spinning')).toBeDefined()
    expect(cpuSeconds(guest)).toBeLessThan((WINDOWS_TO_SPINNING + 1) * 6)
  })

  test('a CD boots, and so does a disk; a CD cut short is said to spin; without one the firmware is said to have found nothing', async () => {
    const boot = { kind: 'firmware' as const, order: ['cdrom' as const] }
    const drives = [specDrive('cd', 'cdrom')]
    const whole = bootableCd('booted from CD')
    const good = keep(await Guest.start(files, { spec: { boot, drives }, disks: { cd: disk(whole, true) } }))
    await good.expectSerial(/booted from CD/)
    await good.close()
    const hard = await Guest.start(files, {
      spec: { boot: { kind: 'firmware', order: ['cdrom', 'disk'] }, drives: [specDrive('hd', 'disk')] },
      disks: { hd: disk(bootableDisk('booted from disk')) },
    })
    await keep(hard).expectSerial(/booted from disk/)
    await hard.close()
    // The boot image lies behind the end.
    const cut = keep(await Guest.start(files, { spec: { boot, drives }, disks: { cd: disk(whole.slice(0, 19 * 2048), true) } }))
    const none = keep(await Guest.start(files, { spec: { boot } }))
    const isSpinning = (event: { kind: string; health?: string }): boolean => event.kind === 'health' && event.health === 'spinning'
    expect(await none.event(isSpinning)).toMatchObject({ detail: expect.stringContaining('found nothing to start from') as string })
    expect(await cut.event(isSpinning)).toBeDefined()
  })
})

/** The same bytes in every run (xorshift32). */
function randomBytes(seed: number, length: number): Uint8Array {
  let x = seed
  return Uint8Array.from({ length }, () => {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    return x & 0xff
  })
}

/**
 * A CD that boots (El Torito 1.0, no emulation) a program which prints `text` on the first serial port and halts. Its boot image is at sector 20.
 */
function bootableCd(text: string): Uint8Array<ArrayBuffer> {
  const SECTOR = 2048
  const cd = new Uint8Array(22 * SECTOR)
  const view = new DataView(cd.buffer)
  const ascii = (at: number, value: string): void => cd.set(new TextEncoder().encode(value), at)
  const pvd = 16 * SECTOR
  cd[pvd] = 1
  ascii(pvd + 1, 'CD001')
  cd[pvd + 6] = 1
  const record = 17 * SECTOR
  ascii(record + 1, 'CD001')
  cd[record + 6] = 1
  ascii(record + 7, 'EL TORITO SPECIFICATION')
  view.setUint32(record + 71, 19, true)
  const end = 18 * SECTOR
  cd[end] = 255
  ascii(end + 1, 'CD001')
  const catalogue = 19 * SECTOR
  cd[catalogue] = 1
  cd.set([0x55, 0xaa], catalogue + 30)
  let sum = 0
  for (let at = 0; at < 32; at += 2) sum += view.getUint16(catalogue + at, true)
  view.setUint16(catalogue + 28, 0x10000 - (sum & 0xffff), true)
  const entry = catalogue + 32
  cd[entry] = 0x88
  view.setUint16(entry + 6, 4, true)
  view.setUint32(entry + 8, 20, true)
  cd.set(bootProgram(text), 20 * SECTOR)
  return cd
}

/** A disk whose first sector is the program (with the signature that makes it bootable). */
function bootableDisk(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(64 * 1024)
  bytes.set(bootProgram(text))
  bytes.set([0x55, 0xaa], 510)
  return bytes
}

/** For 0x7c00, where firmware loads it; it prints `text` on the first serial port and halts. */
function bootProgram(text: string): Uint8Array {
  // mov dx, 0x3f8; mov si, text; cs lodsb; test al, al; jz end; out dx, al; jmp loop; end: hlt; jmp end
  const code = [0xba, 0xf8, 0x03, 0xbe, 0x20, 0x7c, 0x2e, 0xac, 0x84, 0xc0, 0x74, 0x03, 0xee, 0xeb, 0xf7, 0xf4, 0xeb, 0xfd]
  const bytes = new Uint8Array(0x20 + text.length + 3)
  bytes.set(code)
  bytes.set(new TextEncoder().encode(`${text}\r\n`), 0x20)
  return bytes
}
